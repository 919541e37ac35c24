// Package kubeconfig reads kubeconfig files, edits the exec configs in them in place, and writes
// new ones.
//
// Parse reads one file. Load reads the files that kubectl would read, and Files looks up contexts
// in them. Errors about content name the file and the line but never quote the file, because a
// kubeconfig may hold secrets.
//
// File.WithExecs changes exec configs of users in the file's own text. Every byte outside of those
// users' exec configs and auth-providers stays: other entries, comments, order, unknown fields,
// indentation and line endings. WithExecs parses and compares its result before returning it, and
// returns an error for a file that it cannot edit safely.
//
// Replace replaces a file's content, if no other program has changed it, under the lock that
// kubectl takes. Replace and WriteFile write a temporary file and rename it: readers see the old
// content or the new content, never a part. Both refuse read-only files and anything that is not a
// regular file.
//
// Document renders a new kubeconfig as YAML or JSON that client-go, YAML 1.1 readers and YAML 1.2
// readers read alike.
//
// Functions that read or write files return errors that wrap those of package os.
package kubeconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// File is a parsed kubeconfig file together with its source text. Entries are in the file's order.
// A File does not change after Parse.
//
// https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
type File struct {
	Path           string // the path passed to Parse; used in messages
	CurrentContext string
	Contexts       []Context
	Clusters       []Cluster
	Users          []User

	source    []byte
	text      []byte       // source without its byte order mark
	root      *yaml.Node   // nil if the file is empty
	userNodes []*yaml.Node // the nodes of Users, by index
}

// Source returns the bytes passed to Parse. The caller must not modify them.
func (k *File) Source() []byte { return k.source }

// Context is an entry of contexts: it names a cluster and a user.
type Context struct{ Name, Cluster, User, Namespace string }

// Cluster is an entry of clusters. Fields holds every field of the cluster, known to this package
// or not. Its values have the types that encoding/json decodes into an any, except that integers
// have an integer type.
type Cluster struct {
	Name   string
	Fields map[string]any
}

// User is an entry of users.
type User struct {
	Name         string
	Line         int           // line of the entry in the file; the first line is 1
	Exec         *Exec         // nil if the user has no exec config
	AuthProvider *AuthProvider // nil if the user has no auth-provider
	OtherFields  []string      // names of all other fields that are not empty, in the file's order
}

// AuthProvider is a user's auth-provider, which clients used for logins before exec plugins. Client
// libraries of Kubernetes 1.26 and later no longer support the azure provider.
type AuthProvider struct {
	Name   string
	Config map[string]string
}

// Exec is a user's exec config: how a client runs an exec credential plugin.
type Exec struct {
	APIVersion         string
	Command            string
	Args               []string
	Env                []EnvVar
	InstallHint        string
	InteractiveMode    string
	ProvideClusterInfo *bool // nil if the file does not set it
}

// EnvVar is an environment variable that the client sets for the plugin.
type EnvVar struct{ Name, Value string }

const (
	maxSize       = 8 << 20
	byteOrderMark = "\ufeff"
)

// Parse reads a kubeconfig in YAML or JSON, with or without a byte order mark. An empty source is
// an empty File. Parse keeps source; the caller must not modify it afterwards.
//
// An error names path and, where it is known, the line. It never quotes the source, which may hold
// secrets.
//
// Parse differs from kubectl in two ways. It refuses duplicate keys. Where a string belongs, it
// reads a number or a bool as its text.
func Parse(path string, source []byte) (*File, error) {
	text := bytes.TrimPrefix(source, []byte(byteOrderMark))
	if err := checkText(path, text); err != nil {
		return nil, err
	}
	parsed := text
	if json.Valid(text) {
		// The yaml package refuses some tabs between JSON tokens. JSON allows no raw tab inside a
		// string, so every tab can become a space.
		parsed = bytes.ReplaceAll(text, []byte("\t"), []byte(" "))
	}
	root, err := decodeDocument(path, parsed)
	if err != nil {
		return nil, err
	}
	k := &File{Path: path, source: source, text: text, root: root}
	r := &nodeReader{path: path}
	if k.decode(r); r.err != nil {
		return nil, r.err
	}
	return k, nil
}

// checkText refuses text that is too large, not UTF-8, or contains control characters. The yaml
// package would refuse such characters too, but without a line number.
func checkText(path string, text []byte) error {
	if len(text) > maxSize {
		return tooLargeError(path)
	}
	for i := 0; i < len(text); {
		problem := ""
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			problem = "a character that is not UTF-8; save the file as UTF-8"
		case unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\u0085", r):
			problem = "a control character that YAML does not allow"
		}
		if problem != "" {
			return lineError(path, 1+bytes.Count(text[:i], []byte("\n")), problem)
		}
		i += size
	}
	return nil
}

func tooLargeError(path string) error {
	return fmt.Errorf("%s is larger than %d MiB: it is not a kubeconfig", path, maxSize>>20)
}

func lineError(path string, line int, problem string) error {
	return fmt.Errorf("%s, line %d: %s", path, line, problem)
}

// decodeDocument returns the content of the only YAML document in text, or nil if text is empty.
func decodeDocument(path string, text []byte) (*yaml.Node, error) {
	var root *yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for first := true; ; first = false {
		var doc yaml.Node
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return root, nil
		} else if err != nil {
			return nil, yamlError(path, err)
		}
		content := doc.Content[0]
		if isEmpty(content) {
			continue
		}
		if !first {
			return nil, lineError(path, content.Line, "a second YAML document; "+
				"clients read only the first, so keep one document per file")
		}
		root = content
	}
}

// yamlProblems maps the yaml package's most frequent errors to this package's words. Other errors
// of the yaml package are not shown, because some of them quote the file.
var yamlProblems = map[string]string{
	"block sequence entries are not allowed in this context": "a '- ' is not allowed here; check the indentation",
	"could not find expected ':'":                            "a ':' is missing",
	"did not find expected '-' indicator":                    "not an item of the list, here or below; check the indentation",
	"did not find expected ',' or ']'":                       "a ',' or ']' is missing, here or below",
	"did not find expected ',' or '}'":                       "a ',' or '}' is missing, here or below",
	"did not find expected alphabetic or numeric character":  "a '&' or '*' without a name; are quotes missing?",
	"did not find expected comment or line break":            "the text of a '|' or '>' block must start on the next line",
	"did not find expected key":                              "not a key of the mapping, here or below; check the indentation",
	"did not find expected node content":                     "a value is missing, here or below",
	"found a tab character that violates indentation":        "a tab in the indentation; use spaces",
	"found character that cannot start any token":            "a tab or another character that is not allowed here; are quotes missing?",
	"found unexpected end of stream":                         "a quoted string is not closed",
	"found unknown escape character":                         `an escape in a quoted string (\…) that YAML does not know`,
	"mapping values are not allowed in this context":         "a ':' is not allowed here; check the indentation, or are quotes missing?",
}

// zeroBasedLines are the errors for which the yaml package counts lines from 0.
var zeroBasedLines = []string{
	"did not find expected '-' indicator",
	"did not find expected ',' or ']'",
	"did not find expected ',' or '}'",
	"did not find expected key",
	"did not find expected node content",
}

// yamlError says where and why text is not YAML. It copies only the line number from err.
func yamlError(path string, err error) error {
	where, line, problem := "", 0, strings.TrimPrefix(err.Error(), "yaml: ")
	if n, _ := fmt.Sscanf(problem, "line %d: ", &line); n == 1 {
		_, problem, _ = strings.Cut(problem, ": ")
		if slices.Contains(zeroBasedLines, problem) {
			line++
		}
		where = fmt.Sprintf(", line %d", line)
	}
	words := yamlProblems[problem]
	if strings.HasPrefix(problem, "unknown anchor ") {
		words = "an alias ('*') without its anchor ('&'); are quotes missing?"
	}
	if words != "" {
		words = ": " + words
	}
	return fmt.Errorf("%s%s: neither YAML nor JSON%s", path, where, words)
}

// decode fills k's exported fields from its nodes. The caller checks r.err.
func (k *File) decode(r *nodeReader) {
	root := r.fields(k.root, "the file")
	if kind := root.get("kind"); !slices.Contains([]string{"", "Config"}, r.text(kind, "kind")) {
		r.fail(kind, "kind is not Config, so this is not a kubeconfig")
	}
	k.CurrentContext = r.text(root.get("current-context"), "current-context")
	for _, item := range r.items(root.get("contexts"), "contexts") {
		entry := r.fields(item, "an entry of contexts")
		c := r.fields(entry.get("context"), "context")
		k.Contexts = append(k.Contexts, Context{
			Name:      r.text(entry.get("name"), "name"),
			Cluster:   r.text(c.get("cluster"), "cluster"),
			User:      r.text(c.get("user"), "user"),
			Namespace: r.text(c.get("namespace"), "namespace"),
		})
	}
	for _, item := range r.items(root.get("clusters"), "clusters") {
		entry := r.fields(item, "an entry of clusters")
		c := Cluster{Name: r.text(entry.get("name"), "name")}
		for _, f := range r.fields(entry.get("cluster"), "cluster") {
			if c.Fields == nil {
				c.Fields = map[string]any{}
			}
			c.Fields[f.key.Value] = r.goValue(f.value, 0)
		}
		k.Clusters = append(k.Clusters, c)
	}
	k.userNodes = r.items(root.get("users"), "users")
	for _, item := range k.userNodes {
		k.Users = append(k.Users, r.user(item))
	}
}

func (r *nodeReader) user(item *yaml.Node) User {
	entry := r.fields(item, "an entry of users")
	u := User{Name: r.text(entry.get("name"), "name"), Line: item.Line}
	for _, f := range r.fields(entry.get("user"), "user") {
		switch {
		case f.key.Value == "exec":
			u.Exec = r.exec(f.value)
		case f.key.Value == "auth-provider":
			u.AuthProvider = r.authProvider(f.value)
		case !isEmpty(resolveAlias(f.value)):
			u.OtherFields = append(u.OtherFields, f.key.Value)
		}
	}
	return u
}

func (r *nodeReader) authProvider(n *yaml.Node) *AuthProvider {
	if isEmptyScalar(n) {
		return nil
	}
	f := r.fields(n, "auth-provider")
	a := AuthProvider{Name: r.text(f.get("name"), "name")}
	for _, c := range r.fields(f.get("config"), "config") {
		if a.Config == nil {
			a.Config = map[string]string{}
		}
		a.Config[c.key.Value] = r.text(c.value, "a value of config")
	}
	return &a
}

func (r *nodeReader) exec(n *yaml.Node) *Exec {
	if isEmptyScalar(n) {
		return nil
	}
	f := r.fields(n, "exec")
	e := Exec{
		APIVersion:         r.text(f.get("apiVersion"), "apiVersion"),
		Command:            r.text(f.get("command"), "command"),
		InstallHint:        r.text(f.get("installHint"), "installHint"),
		InteractiveMode:    r.text(f.get("interactiveMode"), "interactiveMode"),
		ProvideClusterInfo: r.bool(f.get("provideClusterInfo"), "provideClusterInfo"),
	}
	for _, item := range r.items(f.get("args"), "args") {
		e.Args = append(e.Args, r.text(item, "an item of args"))
	}
	for _, item := range r.items(f.get("env"), "env") {
		v := r.fields(item, "an item of env")
		name, value := r.text(v.get("name"), "name"), r.text(v.get("value"), "value")
		e.Env = append(e.Env, EnvVar{name, value})
	}
	return &e
}
