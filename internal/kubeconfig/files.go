package kubeconfig

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// ContextUser is the name of a context's user; "" for no context.
func (files Files) ContextUser(context string) (string, error) {
	if context == "" {
		return "", nil
	}
	at, in := findEntry(
		files,
		func(k *File) []Context { return k.Contexts },
		func(c Context) bool { return c.Name == context },
	)
	switch {
	case in == nil:
		return "", &NotFoundError{
			fmt.Sprintf("there is no context %q", context),
			"there are: " + files.contextNames(),
		}
	case at.User == "":
		return "", fmt.Errorf("context %q names no user", context)
	}
	return at.User, nil
}

// Load reads the file that is named, or those that count where none is.
func Load(named string) (Files, error) {
	var files Files
	for _, path := range Paths(named, os.Getenv) {
		raw, err := Read(path)
		if errors.Is(err, fs.ErrNotExist) && named == "" { // clients pass over them too
			continue
		}
		if err != nil {
			return nil, err
		}
		k, err := Parse(path, raw)
		if err != nil {
			return nil, err
		}
		files = append(files, k)
	}
	return files, nil
}

// Files are files that count together: of two entries with one name the first one does.
type Files []*File

func (files Files) contextNames() string {
	var names []string
	for _, f := range files {
		for _, c := range f.Contexts {
			names = append(names, strconv.Quote(c.Name))
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// FindContext finds what a context names; the current one where none is given. where says in words
// where it was looked for.
func (files Files) FindContext(context, where string) (ContextEntries, error) {
	for _, f := range files {
		if context == "" {
			context = f.CurrentContext
		}
	}
	if context == "" {
		return ContextEntries{}, &NotFoundError{
			"there is no current context " + where,
			"name one with --context: " + files.contextNames(),
		}
	}
	named, in := findEntry(
		files,
		func(k *File) []Context { return k.Contexts },
		func(c Context) bool { return c.Name == context },
	)
	if in == nil {
		return ContextEntries{}, &NotFoundError{
			fmt.Sprintf("there is no context %q %s", context, where),
			"there are: " + files.contextNames(),
		}
	}
	cluster, in := findEntry(
		files,
		func(k *File) []Cluster { return k.Clusters },
		func(c Cluster) bool { return c.Name == named.Cluster },
	)
	if in == nil {
		return ContextEntries{}, fmt.Errorf(
			"context %q is of cluster %q, which is not %s",
			context,
			named.Cluster,
			where,
		)
	}
	user, userIn := findEntry(
		files,
		func(k *File) []User { return k.Users },
		func(u User) bool { return u.Name == named.User },
	)
	return ContextEntries{context, named.Namespace, cluster, user, in, userIn}, nil
}

// ContextEntries is what a context names.
type ContextEntries struct {
	Context, Namespace    string
	Cluster               Cluster
	User                  User  // without a name where there is none
	ClusterFile, UserFile *File // the cluster's file, and the user's if there is one
}

// NotFoundError says which entry is not in the kubeconfigs, and which are.
type NotFoundError struct{ Text, Hint string }

func (e *NotFoundError) Error() string { return e.Text }

// findEntry finds an entry, and the file that it is in.
func findEntry[T any](files Files, entries func(*File) []T, is func(T) bool) (found T, in *File) {
	for _, f := range files {
		if i := slices.IndexFunc(entries(f), is); i >= 0 {
			return entries(f)[i], f
		}
	}
	return found, nil
}
