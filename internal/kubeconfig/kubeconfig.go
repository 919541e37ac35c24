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

// File is one kubeconfig file, with the bytes that it was read from.
// https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
type File struct {
	Path           string // where it was read, for messages
	CurrentContext string
	Contexts       []Context
	Clusters       []Cluster
	Users          []User

	source    []byte
	text      []byte       // source without its byte order mark
	root      *yaml.Node   // nil: the file is empty
	userNodes []*yaml.Node // the users'
}

// Source returns the bytes that were read. They are not to be changed.
func (k *File) Source() []byte { return k.source }

// Context names a cluster and a user.
type Context struct{ Name, Cluster, User, Namespace string }

// Cluster is a cluster's entry. Fields holds all of it as the file has it, also what this program
// does not know.
type Cluster struct {
	Name   string
	Fields map[string]any
}

// User is a user's entry.
type User struct {
	Name         string
	Line         int           // 1 is the file's first
	Exec         *Exec         // nil: it has no exec stanza
	AuthProvider *AuthProvider // nil: it has none
	OtherFields  []string      // names of all its other fields that are not empty, in the file's order
}

// AuthProvider is the way in which users logged in before exec plugins.
type AuthProvider struct {
	Name   string
	Config map[string]string
}

// Exec is a user's exec stanza.
type Exec struct {
	APIVersion         string
	Command            string
	Args               []string
	Env                []EnvVar
	InstallHint        string
	InteractiveMode    string
	ProvideClusterInfo *bool // nil: the file does not say
}

// EnvVar is a variable that the client sets for the plugin.
type EnvVar struct{ Name, Value string }

const (
	maxSize       = 8 << 20
	byteOrderMark = "\ufeff"
)

// Parse reads a kubeconfig in YAML or JSON; path is for messages. An empty file is an empty
// Kubeconfig. What is no kubeconfig is an error with path and line, which repeats nothing of the
// file: it may hold secrets.
//
// It is stricter than clients are in one thing, a key that stands twice, and more lenient in
// another: a number or bool among strings is its text.
func Parse(path string, source []byte) (*File, error) {
	text := bytes.TrimPrefix(source, []byte(byteOrderMark))
	if err := checkText(path, text); err != nil {
		return nil, err
	}
	parsed := text
	if json.Valid(text) {
		// yaml refuses some of the tabs that JSON allows. None is inside a string there, so all may
		// be blanks.
		parsed = bytes.ReplaceAll(text, []byte("\t"), []byte(" "))
	}
	top, err := decodeDocument(path, parsed)
	if err != nil {
		return nil, err
	}
	k := &File{Path: path, source: source, text: text, root: top}
	r := &nodeReader{path: path}
	if k.decode(r); r.err != nil {
		return nil, r.err
	}
	return k, nil
}

// checkText says with a line what yaml would say without one.
func checkText(path string, text []byte) error {
	if len(text) > maxSize {
		return tooLargeError(path)
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return lineError(
				path,
				1+bytes.Count(text[:i], []byte("\n")),
				"a character that is not UTF-8; save the file as UTF-8",
			)
		}
		if unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\u0085", r) {
			return lineError(
				path,
				1+bytes.Count(text[:i], []byte("\n")),
				"a control character that YAML does not allow",
			)
		}
		i += size
	}
	return nil
}

func tooLargeError(path string) error {
	return fmt.Errorf("%s has more than %d MiB: it is no kubeconfig", path, maxSize>>20)
}

func lineError(path string, line int, format string, a ...any) error {
	return fmt.Errorf("%s, line %d: "+format, append([]any{path, line}, a...)...)
}

// decodeDocument is the content of the only document in text; nil if it is empty.
func decodeDocument(path string, text []byte) (*yaml.Node, error) {
	var top *yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for first := true; ; first = false {
		var doc yaml.Node
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return top, nil
		} else if err != nil {
			return nil, yamlError(path, err)
		}
		if isEmpty(doc.Content[0]) {
			continue
		}
		if !first {
			return nil, lineError(
				path,
				doc.Content[0].Line,
				"a second YAML document; clients read the first alone, so keep one in a file",
			)
		}
		top = doc.Content[0]
	}
}

// yamlProblems are words for what yaml finds most often. Its own are not shown: some quote the
// file.
var yamlProblems = map[string]string{
	"block sequence entries are not allowed in this context": "a '- ' that cannot stand there; is the indentation right?",
	"could not find expected ':'":                            "a ':' is missing",
	"did not find expected '-' indicator":                    "what is no item of its list, there or further down; is the indentation right?",
	"did not find expected ',' or ']'":                       "a ',' or ']' is missing, there or further down",
	"did not find expected ',' or '}'":                       "a ',' or '}' is missing, there or further down",
	"did not find expected alphabetic or numeric character":  "a '&' or '*' without a name; are quotes missing?",
	"did not find expected comment or line break":            "a block text ('|' or '>') that begins on the line of its sign",
	"did not find expected key":                              "what is no key of its mapping, there or further down; is the indentation right?",
	"did not find expected node content":                     "a value is missing, there or further down",
	"found a tab character that violates indentation":        "a tab in the indentation; use blanks",
	"found character that cannot start any token":            "a tab or another character that cannot stand there; are quotes missing?",
	"found unexpected end of stream":                         "a quoted text does not end",
	"found unknown escape character":                         `an escape in a quoted text (\…) that YAML does not know`,
	"mapping values are not allowed in this context":         "a ':' that cannot stand there; is the indentation right, or are quotes missing?",
}

// zeroBasedLines are the problems whose lines yaml counts from 0.
var zeroBasedLines = []string{
	"did not find expected '-' indicator",
	"did not find expected ',' or ']'",
	"did not find expected ',' or '}'",
	"did not find expected key",
	"did not find expected node content",
}

// yamlError says where and why a text is no YAML. It trusts no word of the library's.
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

// decode fills k's fields from its nodes.
func (k *File) decode(r *nodeReader) {
	top := r.fields(k.root, "the file")
	if kind := top.get("kind"); !slices.Contains([]string{"", "Config"}, r.text(kind, "kind")) {
		r.fail(kind, "kind is not Config, so this is no kubeconfig")
	}
	k.CurrentContext = r.text(top.get("current-context"), "current-context")
	for _, item := range r.items(top.get("contexts"), "contexts") {
		entry := r.fields(item, "an entry of contexts")
		c := r.fields(entry.get("context"), "context")
		k.Contexts = append(k.Contexts, Context{
			Name:      r.text(entry.get("name"), "name"),
			Cluster:   r.text(c.get("cluster"), "cluster"),
			User:      r.text(c.get("user"), "user"),
			Namespace: r.text(c.get("namespace"), "namespace"),
		})
	}
	for _, item := range r.items(top.get("clusters"), "clusters") {
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
	k.userNodes = r.items(top.get("users"), "users")
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
	if isEmpty(resolveAlias(n)) && resolveAlias(n).Kind == yaml.ScalarNode {
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
	if isEmpty(resolveAlias(n)) && resolveAlias(n).Kind == yaml.ScalarNode {
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
		e.Env = append(
			e.Env,
			EnvVar{r.text(v.get("name"), "name"), r.text(v.get("value"), "value")},
		)
	}
	return &e
}
