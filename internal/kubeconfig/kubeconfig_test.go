package kubeconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// A withExecCase is a file of testdata/withexec: a sentence, want.json, perhaps user, before, and
// after or error. UPDATE=1 writes the last.
type withExecCase struct {
	path, user           string
	want                 Exec
	before, after, error []byte
}

func withExecCases(t testing.TB) (all []withExecCase) {
	t.Helper()
	paths, err := filepath.Glob("testdata/withexec/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c := withExecCase{path: path}
		for _, f := range archive.Files {
			switch f.Name {
			case "want.json":
				if err := json.Unmarshal(f.Data, &c.want); err != nil {
					t.Fatal(path, err)
				}
			case "user":
				c.user = strings.TrimSpace(string(f.Data))
			case "before":
				c.before = f.Data
			case "after":
				c.after = f.Data
			case "error":
				c.error = f.Data
			}
		}
		all = append(all, c)
	}
	return all
}

func parseOrFail(t *testing.T, source []byte) *File {
	t.Helper()
	k, err := Parse("config", source)
	if err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	return k
}

func TestWithExec(t *testing.T) {
	crlf := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }
	bom := func(b []byte) []byte { return append([]byte("\ufeff"), b...) }
	unended := func(b []byte) []byte { return bytes.TrimRight(b, "\n") }
	more := func(b []byte) []byte { return append(bytes.Clone(b), "# é\n"...) }
	for _, c := range withExecCases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(c.path), ".txtar"), func(t *testing.T) {
			k := parseOrFail(t, c.before)
			if c.user == "" {
				c.user = k.Users[0].Name
			}
			got, err := k.WithExec(c.user, c.want)
			if os.Getenv("UPDATE") != "" {
				updateCase(t, c, got, err)
				return
			}
			if err != nil {
				if err.Error()+"\n" != string(c.error) {
					t.Fatalf("%v; want %s", err, c.error)
				}
				return
			}
			if !bytes.Equal(got, c.after) {
				t.Fatalf("got\n%s\nwant\n%s", got, c.after)
			}
			// What is written otherwise is edited alike.
			for name, other := range map[string]func([]byte) []byte{"CRLF": crlf, "BOM": bom, "no final newline": unended, "a comment": more} {
				if json.Valid(c.before) && name == "a comment" {
					continue
				}
				before := other(c.before)
				got, err := parseOrFail(t, before).WithExec(c.user, c.want)
				if err != nil || !bytes.Equal(got, other(c.after)) {
					t.Errorf("%s: %v\n%q\nwant\n%q", name, err, got, other(c.after))
				}
			}
			again, err := parseOrFail(t, got).WithExec(c.user, c.want)
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("twice: %v\n%s", err, again)
			}
		})
	}
}

func updateCase(t *testing.T, c withExecCase, got []byte, err error) {
	t.Helper()
	archive, _ := txtar.ParseFile(c.path)
	last := txtar.File{Name: "after", Data: got}
	if err != nil {
		last = txtar.File{Name: "error", Data: []byte(err.Error() + "\n")}
	}
	for i, f := range archive.Files {
		if f.Name == "after" || f.Name == "error" {
			archive.Files = archive.Files[:i]
			break
		}
	}
	archive.Files = append(archive.Files, last)
	if err := os.WriteFile(c.path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	const source = `# everything
apiVersion: v1
kind: Config
current-context: one
x-defaults: &defaults {namespace: ns, cluster: c}
contexts:
- name: one
  context: {<<: *defaults, user: u, cluster: "mine"}
- context:
  name: two
clusters:
- name: mine
  cluster:
    server: https://x
    insecure-skip-tls-verify: true
    extensions: [{name: n, extension: {a: 1, when: 2024-01-01, on: ~}}]
- name: empty
users:
- name: u
  user:
    as: ""
    as-groups: []
    client-key-data: !!str a2V5
    exec: {apiVersion: v, command: 007, args: ["a", 1.50, yes, null, 'b''c'], env: [{name: N, value: 1}], provideClusterInfo: no}
    impersonate: null
    token: t
- user:
    auth-provider:
      name: azure
      config:
        a: 1
        b:
  name: v
- name: w
  user: {exec: , auth-provider: null}
- name: w2
  user: {exec: {}, auth-provider: {}}
`
	yes, no := true, false
	got := parseOrFail(t, []byte(source))
	want := &File{
		Path: "config", CurrentContext: "one",
		Contexts: []Context{{"one", "mine", "u", "ns"}, {Name: "two"}},
		Clusters: []Cluster{{"mine", map[string]any{
			"server": "https://x", "insecure-skip-tls-verify": true,
			"extensions": []any{map[string]any{"name": "n", "extension": map[string]any{"a": 1, "when": "2024-01-01", "on": nil}}},
		}}, {Name: "empty"}},
		Users: []User{
			{Name: "u", Line: 19, OtherFields: []string{"client-key-data", "token"}, Exec: &Exec{
				APIVersion: "v", Command: "007", Args: []string{"a", "1.50", "yes", "", "b'c"}, Env: []EnvVar{{"N", "1"}}, ProvideClusterInfo: &no}},
			{Name: "v", Line: 27, AuthProvider: &AuthProvider{"azure", map[string]string{"a": "1", "b": ""}}},
			{Name: "w", Line: 34},
			{Name: "w2", Line: 36, Exec: &Exec{}, AuthProvider: &AuthProvider{}},
		},
	}
	want.source, want.text, want.root, want.userNodes = got.source, got.text, got.root, got.userNodes
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s\nwant %s", indentJSON(got), indentJSON(want))
	}
	other := parseOrFail(t, []byte("\n\t{\t\"users\":\t[{\"name\":\"u\",\"user\":{\"exec\":{\"provideClusterInfo\":true\t}}}]}"))
	if want := []User{{Name: "u", Line: 2, Exec: &Exec{ProvideClusterInfo: &yes}}}; !reflect.DeepEqual(other.Users, want) {
		t.Errorf("got %+v", other.Users)
	}
	for _, source := range []string{"", "\n", "# nothing\n", "\ufeff", "---\n", "---\n...\n---\n", "null", "~", "{}", "\r\n"} {
		k := parseOrFail(t, []byte(source))
		if k.Users != nil || k.Contexts != nil || k.Clusters != nil {
			t.Errorf("%q: %+v", source, k)
		}
		if _, err := k.WithExec("u", Exec{}); err == nil || err.Error() != `config has no user "u"` {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func TestWithExecErrorsAndLongArgs(t *testing.T) {
	k := parseOrFail(t, []byte("users:\n- name: u\n  user:\n    exec:\n      command: x\n      args:\n"+strings.Repeat("      - a\n", 3000)))
	if _, err := k.WithExec("v", Exec{}); err == nil || err.Error() != `config has no user "v"` {
		t.Error(err)
	}
	if _, err := k.WithExec("u", Exec{Command: "\xff"}); err == nil || !strings.Contains(err.Error(), "not UTF-8") {
		t.Error(err)
	}
	want := Exec{Command: "x", Args: slices.Repeat([]string{"b"}, 2000)}
	got, err := k.WithExec("u", want)
	if err != nil {
		t.Fatal(err)
	}
	checkEdit(t, k, "u", want, got)
}

// Whatever an edit did beside what it should is found.
func TestVerify(t *testing.T) {
	const source = `x: &x {a: b}
users:
- name: first
  user: {token: x}
- name: this
  user:
    exec:
      command: old
      env: [{name: A, value: b, c: d}, {name: B, value: b}]
      other: 1
    as: a
  more: *x
- name: last
contexts: []
`
	k := parseOrFail(t, []byte(source))
	goal := k.Users[1].Exec.merge(Exec{Command: "new", Env: []EnvVar{{"A", "c"}}})
	good := strings.NewReplacer("old", "new", "value: b, c", "value: c, c").Replace(source)
	if line := k.verify([]byte(good), 1, goal); line != 0 {
		t.Fatalf("line %d of what is right", line)
	}
	for old, new := range map[string]string{
		"command: new":       "command: newer",
		"contexts: []":       "contexts: [{}]",
		"contexts":           "context",
		"a: b}":              "a: c}",
		"{a: b}":             "[a, b]",
		"more: *x":           "more: {a: c}",
		"more: *x\n":         "",
		"  more":             "  new: x\n  more",
		"token: x":           "token: 1",
		"- name: last\n":     "",
		"as: a":              "as: b",
		"    as: a":          "    as: a\n    auth-provider: {name: azure}",
		"other: 1":           "other: '1'",
		"      other: 1\n":   "",
		"c: d":               "c: e",
		", c: d":             "",
		"name: this":         "name: that",
		"name: B, value: b":  "name: B, value: c",
		"name: B, value: b}": "name: B, value: b, new: x}",
		"x: &x":              "x: &x !!omap",
		"users":              "\tusers",
	} {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not there", old)
		}
		if k.verify([]byte(strings.Replace(good, old, new, 1)), 1, goal) == 0 {
			t.Errorf("%q in place of %q is not found", new, old)
		}
	}
	json := parseOrFail(t, []byte(`{"users":[{"name":"u"}]}`))
	if json.verify([]byte(`{"users":[{"name":"u",user:{"exec":{"command":"x"}}}]}`), 0, Exec{Command: "x"}) == 0 {
		t.Error("what is no JSON any more is not found")
	}
}

func indentJSON(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	return fmt.Sprint(string(b), err)
}

func TestParseErrors(t *testing.T) {
	for source, want := range map[string]string{
		"secret":                           "line 1: the file is not a mapping",
		"- secret":                         "line 1: the file is not a mapping",
		"kind: Secret":                     "line 1: kind is not Config, so this is no kubeconfig",
		"users: secret":                    "line 1: users is not a list",
		"users: {a: secret}":               "line 1: users is not a list",
		"users:\n- secret":                 "line 2: an entry of users is not a mapping",
		"users:\n- name: [secret]":         "line 2: name is not a string",
		"users:\n- user: secret":           "line 2: user is not a mapping",
		"users:\n- user: {exec: [secret]}": "line 2: exec is not a mapping",
		"users:\n- user: {exec: {command: {a: b}}}":                  "line 2: command is not a string",
		"users:\n- user: {exec: {args: secret}}":                     "line 2: args is not a list",
		"users:\n- user: {exec: {args: [[a]]}}":                      "line 2: an item of args is not a string",
		"users:\n- user: {exec: {env: [a]}}":                         "line 2: an item of env is not a mapping",
		"users:\n- user: {exec: {env: {}}}":                          "line 2: env is not a list",
		"users:\n- user: {auth-provider: secret}":                    "line 2: auth-provider is not a mapping",
		"users:\n- user: {exec: {command: !!binary c2VjcmV0}}":       "line 2: command is not a string",
		"users:\n- user: {exec: {provideClusterInfo: secret}}":       "line 2: provideClusterInfo is neither true nor false",
		"users:\n- user: {exec: {provideClusterInfo: 'true'}}":       "line 2: provideClusterInfo is neither true nor false",
		"users:\n- user: {<<: secret}":                               "line 2: what is merged ('<<') is not a mapping",
		"users:\n- user: {[a]: b}":                                   "line 2: a key that is not a string",
		"users: []\nkind: Config\nusers: []":                         "line 3: a key that stands above already in the same mapping",
		"users:\n- user:\n    secret: a\n    secret: b":              "line 4: a key that stands above already in the same mapping",
		"clusters:\n- cluster:\n    a: {secret: a,\n     secret: b}": "line 4: a key that stands above already in the same mapping",
		"clusters:\n- cluster:\n    a: !!int secret":                 "line 3: a value that is not what its tag says",
		"contexts: 1":                         "line 1: contexts is not a list",
		"clusters: a":                         "line 1: clusters is not a list",
		"current-context: []":                 "line 1: current-context is not a string",
		"a: b\n---\nusers: []":                "line 3: a second YAML document; clients read the first alone, so keep one in a file",
		"---\n---\nusers: []":                 "line 3: a second YAML document; clients read the first alone, so keep one in a file",
		"a: b\nsecret\nc: d":                  "line 2: neither YAML nor JSON: a ':' is missing",
		"a: b\n\tsecret: d":                   "line 2: neither YAML nor JSON: a tab in the indentation; use blanks",
		"a:\n\t- secret":                      "line 2: neither YAML nor JSON: a tab or another character that cannot stand there; are quotes missing?",
		"a: b: secret":                        "neither YAML nor JSON: a ':' that cannot stand there; is the indentation right, or are quotes missing?",
		"a: b\nb: *secret":                    "neither YAML nor JSON: an alias ('*') without its anchor ('&'); are quotes missing?",
		"a: b\nb: \"secret":                   "line 2: neither YAML nor JSON: a quoted text does not end",
		"a: b\nb: [secret":                    "line 2: neither YAML nor JSON: a ',' or ']' is missing, there or further down",
		`a: "\/secret"`:                       `neither YAML nor JSON: an escape in a quoted text (\…) that YAML does not know`,
		"a:\n  b: c\n secret: d":              "line 3: neither YAML nor JSON: what is no key of its mapping, there or further down; is the indentation right?",
		"a: b\nb: !<secret a":                 "line 2: neither YAML nor JSON",
		"a: b\nb: secret\xff":                 "line 2: a character that is not UTF-8; save the file as UTF-8",
		"a: b\nb: secret\x00":                 "line 2: a control character that YAML does not allow",
		"\xff\xfeu\x00s\x00":                  "line 1: a character that is not UTF-8; save the file as UTF-8",
		"clusters: &a\n- cluster: &b {c: *a}": "line 2: too deeply nested",
		strings.Repeat("#", maxSize+1):        "has more than 8 MiB: it is no kubeconfig",
		"clusters:\n- cluster: {a: &a [0,0,0,0,0,0,0,0,0], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a], c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b], d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]," +
			" e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d], f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e], g: [*f,*f,*f,*f,*f,*f,*f,*f,*f], h: [*f,*f,*f,*f,*f,*f,*f,*f,*f]}": "line 2: too many entries, or aliases",
	} {
		k, err := Parse("config", []byte(source))
		if k != nil || err == nil {
			t.Errorf("%.200q is taken", source)
		} else if got := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "config"), ", "), ": "); strings.TrimSpace(got) != want {
			t.Errorf("%.200q: %s; want %s", source, got, want)
		}
	}
}

var word = regexp.MustCompile(`[\pL\pN]+`)

// Errors are made of this package's own words and numbers alone: what is in the file may be secret.
func checkError(t *testing.T, err error) {
	t.Helper()
	var own strings.Builder
	for _, file := range []string{"kubeconfig.go", "reader.go", "edit.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		own.Write(source)
	}
	for _, w := range word.FindAllString(strings.TrimPrefix(err.Error(), "config"), -1) {
		if _, number := strconv.Atoi(w); number != nil && !strings.Contains(own.String(), w) {
			t.Fatalf("%v: %q is not this program's word", err, w)
		}
	}
	if strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Fatalf("%q is not one line", err)
	}
}

func addSeeds(f *testing.F, add func(c withExecCase)) {
	for _, c := range withExecCases(f) {
		add(c)
		c.before = bytes.ReplaceAll(c.before, []byte("\n"), []byte("\r\n"))
		add(c)
	}
	for seed := range uint64(20) {
		s := &kubeconfigGenerator{Rand: rand.New(rand.NewPCG(seed, 2))}
		add(withExecCase{before: []byte(s.kubeconfig()), want: Exec{Command: "akslogin", Args: s.args()}})
		add(withExecCase{before: []byte(s.jsonKubeconfig()), want: Exec{Command: "akslogin", Args: s.args()}})
	}
	for _, small := range []string{
		"users: [{user: {exec: {args: [a, b,], env: [{name: A}]}}}]", "users:\n- user:\n    exec: &x\n      args: &y\n      - &z a\n  name: *z",
		"users:\n- user:\n    auth-provider: {}", "users:\n- {}", "users:\n  -\n    ? user\n    : exec: !!map {? command : a}", "users: [user: {exec: }]",
		"- &a a", "users:\n- user:\n    exec:\n      command: |2-\n\n        a\n      args: >+\n", "users:\n- <<: &m {user: {exec: {<<: {command: x}}}}",
	} {
		add(withExecCase{before: []byte(small), want: Exec{Command: "akslogin", Args: []string{"a"}}})
	}
}

// loadWithClientGo is client-go's reading; false for what it does not take.
func loadWithClientGo(source []byte) (*clientcmdapi.Config, bool) {
	config, err := clientcmd.Load(source)
	return config, err == nil
}

func FuzzParse(f *testing.F) {
	addSeeds(f, func(c withExecCase) { f.Add(c.before) })
	f.Add([]byte("a: &a [*a]\nusers: *a"))
	f.Add([]byte("a: *secret"))
	f.Add([]byte("{\"users\":\t[]}"))
	f.Fuzz(func(t *testing.T, source []byte) {
		k, err := Parse("config", source)
		if err != nil {
			checkError(t, err)
			return
		}
		for i, u := range k.Users {
			if u.Line < 1 || u.Line > 1+len(source) {
				t.Fatalf("user %d is in line %d", i, u.Line)
			}
		}
		// What client-go reads too, it reads alike.
		config, ok := loadWithClientGo(source)
		if !ok {
			return
		}
		for _, u := range k.Users {
			compareExec(t, u.Exec, config.AuthInfos[u.Name])
		}
	})
}

func compareExec(t *testing.T, e *Exec, other *clientcmdapi.AuthInfo) {
	t.Helper()
	if other == nil || (e == nil) != (other.Exec == nil) {
		t.Fatalf("got %s, client-go %s", indentJSON(e), indentJSON(other))
	}
	if e == nil {
		return
	}
	o := Exec{APIVersion: other.Exec.APIVersion, Command: other.Exec.Command, Args: other.Exec.Args, InstallHint: other.Exec.InstallHint,
		InteractiveMode: e.InteractiveMode, ProvideClusterInfo: &other.Exec.ProvideClusterInfo}
	if e.ProvideClusterInfo == nil && !other.Exec.ProvideClusterInfo {
		o.ProvideClusterInfo = nil
	}
	for _, v := range other.Exec.Env {
		o.Env = append(o.Env, EnvVar{v.Name, v.Value})
	}
	if !e.equal(o) {
		t.Fatalf("got %s, client-go %s", indentJSON(e), indentJSON(other.Exec))
	}
}

func FuzzWithExec(f *testing.F) {
	addSeeds(f, func(c withExecCase) {
		f.Add(c.before, uint(0), c.want.Command, strings.Join(c.want.Args, "\n"), "A", "b", c.want.InstallHint, true)
	})
	f.Fuzz(func(t *testing.T, source []byte, i uint, command, args, name, value, hint string, more bool) {
		k, err := Parse("config", source)
		if err != nil || len(k.Users) == 0 {
			return
		}
		user := k.Users[i%uint(len(k.Users))].Name
		want := Exec{Command: command, Args: strings.Split(args, "\n"), InstallHint: hint}
		if more {
			no := false
			want.APIVersion, want.InteractiveMode, want.ProvideClusterInfo, want.Env = "v1", "Never", &no, []EnvVar{{name, value}}
		}
		got, err := k.WithExec(user, want)
		if err != nil {
			checkError(t, err)
			return
		}
		checkEdit(t, k, user, want, got)
	})
}

// checkEdit looks at an edited file from outside: with client-go's eyes and byte by byte.
func checkEdit(t *testing.T, k *File, user string, want Exec, got []byte) {
	t.Helper()
	now, err := Parse("config", got)
	if err != nil {
		t.Fatalf("%v in\n%s", err, got)
	}
	i := slices.IndexFunc(k.Users, func(u User) bool { return u.Name == user })
	if goal := k.Users[i].Exec.merge(want); now.Users[i].Exec == nil || !now.Users[i].Exec.equal(goal) || now.Users[i].AuthProvider != nil {
		t.Fatalf("got %s, want %s", indentJSON(now.Users[i]), indentJSON(goal))
	}
	again, err := now.WithExec(user, want)
	if err != nil || !bytes.Equal(again, got) {
		t.Fatalf("twice: %v\n%s\nthen\n%s", err, got, again)
	}
	if json.Valid(k.source) && !json.Valid(got) {
		t.Fatalf("no JSON any more:\n%s", got)
	}
	from, to := editableRegion(k, i)
	if len(got) < from+len(k.source)-to || !bytes.HasPrefix(got, k.source[:from]) || !bytes.HasSuffix(got, k.source[to:]) {
		t.Fatalf("more than %q was changed:\n%s", k.source[from:to], got)
	}
	if before, ok := loadWithClientGo(k.source); ok {
		after, ok := loadWithClientGo(got)
		if !ok {
			t.Fatalf("client-go does not read\n%s", got)
		}
		compareExec(t, now.Users[i].Exec, after.AuthInfos[user])
		before.AuthInfos[user].Exec, after.AuthInfos[user].Exec = nil, nil
		before.AuthInfos[user].AuthProvider = nil
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("got %s, want %s", indentJSON(after), indentJSON(before))
		}
	}
}

// editableRegion is what an edit of a user may change: from his exec stanza or auth-provider, or
// his last field if he has none, to the next node after them.
func editableRegion(k *File, i int) (from, to int) {
	var nodes []*yaml.Node
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		nodes = append(nodes, n)
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(k.root)
	last := func(n *yaml.Node) *yaml.Node {
		for len(n.Content) > 0 {
			n = n.Content[len(n.Content)-1]
		}
		return n
	}
	entry := k.userNodes[i]
	_, user := ownMember(entry, "user")
	parts := []*yaml.Node{last(entry)} // a user that is added
	if user != nil {
		parts = []*yaml.Node{last(user)}
		for _, name := range []string{"exec", "auth-provider"} {
			if key, value := ownMember(user, name); key != nil {
				parts = append(parts, key, last(value))
			}
		}
		if len(parts) > 1 {
			parts = parts[1:]
		}
	}
	l := newLayout(k.source[len(k.source)-len(k.text):])
	from, to = len(l.text), 0
	for _, p := range parts {
		from = min(from, l.begin(p))
		next := len(l.text)
		if j := slices.Index(nodes, p); j+1 < len(nodes) {
			next = l.begin(nodes[j+1])
		}
		to = max(to, next)
	}
	bom := len(k.source) - len(k.text)
	return bom + max(0, l.lineStart(from)), bom + to
}
