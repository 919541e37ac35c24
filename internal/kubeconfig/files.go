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

// Files are kubeconfig files that clients merge, in order of precedence: of two entries with the
// same name, the first one counts.
type Files []*File

// Load reads and parses explicit alone if it is not empty, and otherwise the files that Paths
// returns for the process's environment. Of the latter, files that do not exist are skipped, as
// clients skip them; if none exists, Load returns no files and no error.
func Load(explicit string) (Files, error) {
	var files Files
	for _, path := range Paths(explicit, os.Getenv) {
		raw, err := Read(path)
		if errors.Is(err, fs.ErrNotExist) && explicit == "" {
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

// ContextEntries holds the entries that a context names.
type ContextEntries struct {
	Context, Namespace string
	Cluster            Cluster
	ClusterFile        *File // the file with the cluster; never nil
	User               User  // the zero User if UserFile is nil
	UserFile           *File // the file with the user; nil if no file has it
}

// NotFoundError reports that no file has the context that the caller named, or that the caller
// named none and the files have no current context.
type NotFoundError struct {
	Text string // what is missing
	Hint string // the names of the contexts that there are, quoted; "none" if there are none
}

// Error returns Text.
func (e *NotFoundError) Error() string { return e.Text }

// FindContext returns the entries that a context names; an empty name means the current context.
// where completes error messages, as in "in FILE".
//
// The error is a *NotFoundError if there is no such context. A cluster that is in no file is
// another error. A user that is in no file is not an error.
func (files Files) FindContext(name, where string) (ContextEntries, error) {
	for _, f := range files {
		name = cmp.Or(name, f.CurrentContext)
	}
	if name == "" {
		return ContextEntries{}, &NotFoundError{
			Text: "there is no current context " + where,
			Hint: "name one with --context: " + files.contextNames(),
		}
	}
	context, err := files.context(name, where)
	if err != nil {
		return ContextEntries{}, err
	}
	found := ContextEntries{Context: name, Namespace: context.Namespace}
	found.Cluster, found.ClusterFile = findEntry(files,
		func(k *File) []Cluster { return k.Clusters },
		func(c Cluster) bool { return c.Name == context.Cluster })
	found.User, found.UserFile = findEntry(files,
		func(k *File) []User { return k.Users },
		func(u User) bool { return u.Name == context.User })
	if found.ClusterFile == nil {
		return ContextEntries{}, fmt.Errorf("context %q names cluster %q, which is not %s",
			name, context.Cluster, where)
	}
	return found, nil
}

// ContextUser returns the name of the user that a context names, whether a file has that user or
// not. An empty name means no context, and returns "". The error is a *NotFoundError if there is
// no such context. A context without a user is another error.
func (files Files) ContextUser(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	context, err := files.context(name, "")
	if err == nil && context.User == "" {
		err = fmt.Errorf("context %q names no user", name)
	}
	return context.User, err
}

// context returns a context by its name, or a *NotFoundError.
func (files Files) context(name, where string) (Context, error) {
	context, file := findEntry(files,
		func(k *File) []Context { return k.Contexts },
		func(c Context) bool { return c.Name == name })
	if file == nil {
		text := fmt.Sprintf("there is no context %q %s", name, where)
		hint := "available contexts: " + files.contextNames()
		return Context{}, &NotFoundError{Text: strings.TrimSpace(text), Hint: hint}
	}
	return context, nil
}

func (files Files) contextNames() string {
	var names []string
	for _, f := range files {
		for _, c := range f.Contexts {
			names = append(names, strconv.Quote(c.Name))
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// findEntry returns the first entry that matches, and its file; a nil file means that none does.
func findEntry[T any](
	files Files, entries func(*File) []T, matches func(T) bool,
) (entry T, file *File) {
	for _, f := range files {
		if i := slices.IndexFunc(entries(f), matches); i >= 0 {
			return entries(f)[i], f
		}
	}
	return entry, nil
}
