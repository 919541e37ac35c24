package kubeconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func parseOrFail(t *testing.T, source []byte) *File {
	t.Helper()
	k, err := Parse("config", source)
	if err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	return k
}

func indentJSON(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	return fmt.Sprint(string(b), err)
}

// variedKubeconfig has every field that Parse reads, in different styles of YAML.
const variedKubeconfig = `# everything
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

func TestParse(t *testing.T) {
	yes, no := true, false
	got := parseOrFail(t, []byte(variedKubeconfig))
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
	want.source, want.text = got.source, got.text
	want.root, want.userNodes = got.root, got.userNodes
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s\nwant %s", indentJSON(got), indentJSON(want))
	}
	const tabs = "\n\t{\t\"users\":\t[{\"name\":\"u\"," +
		"\"user\":{\"exec\":{\"provideClusterInfo\":true\t}}}]}"
	users := []User{{Name: "u", Line: 2, Exec: &Exec{ProvideClusterInfo: &yes}}}
	if k := parseOrFail(t, []byte(tabs)); !reflect.DeepEqual(k.Users, users) {
		t.Errorf("got %+v", k.Users)
	}
}

func TestParseEmptyFile(t *testing.T) {
	for _, source := range []string{
		"", "\n", "\r\n", "# nothing\n", "\ufeff", "---\n", "---\n...\n---\n", "null", "~", "{}",
	} {
		k := parseOrFail(t, []byte(source))
		if k.Users != nil || k.Contexts != nil || k.Clusters != nil {
			t.Errorf("%q: %+v", source, k)
		}
		_, err := k.WithExecs(map[string]Exec{"u": {}})
		if err == nil || err.Error() != `config has no user "u"` {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for source, want := range map[string]string{
		"secret":                           "line 1: the file is not a mapping",
		"- secret":                         "line 1: the file is not a mapping",
		"kind: Secret":                     "line 1: kind is not Config, so this is not a kubeconfig",
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
		"users:\n- user: {<<: secret}":                               "line 2: the value of a merge key ('<<') is not a mapping",
		"users:\n- user: {[a]: b}":                                   "line 2: a key that is not a string",
		"users: []\nkind: Config\nusers: []":                         "line 3: a duplicate key in the same mapping",
		"users:\n- user:\n    secret: a\n    secret: b":              "line 4: a duplicate key in the same mapping",
		"clusters:\n- cluster:\n    a: {secret: a,\n     secret: b}": "line 4: a duplicate key in the same mapping",
		"clusters:\n- cluster:\n    a: !!int secret":                 "line 3: a value that does not match its tag",
		"contexts: 1":                         "line 1: contexts is not a list",
		"clusters: a":                         "line 1: clusters is not a list",
		"current-context: []":                 "line 1: current-context is not a string",
		"a: b\n---\nusers: []":                "line 3: a second YAML document; clients read only the first, so keep one document per file",
		"---\n---\nusers: []":                 "line 3: a second YAML document; clients read only the first, so keep one document per file",
		"a: b\nsecret\nc: d":                  "line 2: neither YAML nor JSON: a ':' is missing",
		"a: b\n\tsecret: d":                   "line 2: neither YAML nor JSON: a tab in the indentation; use spaces",
		"a:\n\t- secret":                      "line 2: neither YAML nor JSON: a tab or another character that is not allowed here; are quotes missing?",
		"a: b: secret":                        "neither YAML nor JSON: a ':' is not allowed here; check the indentation, or are quotes missing?",
		"a: b\nb: *secret":                    "neither YAML nor JSON: an alias ('*') without its anchor ('&'); are quotes missing?",
		"a: b\nb: \"secret":                   "line 2: neither YAML nor JSON: a quoted string is not closed",
		"a: b\nb: [secret":                    "line 2: neither YAML nor JSON: a ',' or ']' is missing, here or below",
		`a: "\/secret"`:                       `neither YAML nor JSON: an escape in a quoted string (\…) that YAML does not know`,
		"a:\n  b: c\n secret: d":              "line 3: neither YAML nor JSON: not a key of the mapping, here or below; check the indentation",
		"a: b\nb: !<secret a":                 "line 2: neither YAML nor JSON",
		"a: b\nb: secret\xff":                 "line 2: a character that is not UTF-8; save the file as UTF-8",
		"a: b\nb: secret\x00":                 "line 2: a control character that YAML does not allow",
		"\xff\xfeu\x00s\x00":                  "line 1: a character that is not UTF-8; save the file as UTF-8",
		"clusters: &a\n- cluster: &b {c: *a}": "line 2: too deeply nested",
		strings.Repeat("#", maxSize+1):        "is larger than 8 MiB: it is not a kubeconfig",
		"clusters:\n- cluster: {a: &a [0,0,0,0,0,0,0,0,0], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a], c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b], d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]," +
			" e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d], f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e], g: [*f,*f,*f,*f,*f,*f,*f,*f,*f], h: [*f,*f,*f,*f,*f,*f,*f,*f,*f]}": "line 2: too many entries, or aliases",
	} {
		k, err := Parse("config", []byte(source))
		if k != nil || err == nil {
			t.Errorf("%.200q was accepted", source)
			continue
		}
		got := strings.TrimLeft(strings.TrimPrefix(err.Error(), "config"), ",: ")
		if got != want {
			t.Errorf("%.200q: %s; want %s", source, got, want)
		}
	}
}

var word = regexp.MustCompile(`[\pL\pN]+`)

// checkError checks that an error consists of numbers and words in this package's source, because
// words of the kubeconfig may be secret.
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

// addSeeds calls add with every file of testdata/withexec, generated kubeconfigs, and small ones.
func addSeeds(f *testing.F, add func(c withExecCase)) {
	for _, c := range withExecCases(f) {
		add(c)
		c.before = bytes.ReplaceAll(c.before, []byte("\n"), []byte("\r\n"))
		add(c)
	}
	for seed := range uint64(20) {
		s := &kubeconfigGenerator{Rand: rand.New(rand.NewPCG(seed, 2))}
		for _, generate := range []func() string{s.kubeconfig, s.jsonKubeconfig} {
			source := []byte(generate())
			want := Exec{Command: "akslogin", Args: s.args()}
			add(withExecCase{before: source, want: want})
		}
	}
	want := Exec{Command: "akslogin", Args: []string{"a"}}
	for _, source := range []string{
		"users: [{user: {exec: {args: [a, b,], env: [{name: A}]}}}]",
		"users:\n- user:\n    exec: &x\n      args: &y\n      - &z a\n  name: *z",
		"users:\n- user:\n    auth-provider: {}",
		"users:\n- {}",
		"users:\n  -\n    ? user\n    : exec: !!map {? command : a}",
		"users: [user: {exec: }]",
		"- &a a",
		"users:\n- user:\n    exec:\n      command: |2-\n\n        a\n      args: >+\n",
		"users:\n- <<: &m {user: {exec: {<<: {command: x}}}}",
	} {
		add(withExecCase{before: []byte(source), want: want})
	}
}

// loadWithClientGo parses a kubeconfig with client-go. It returns false if client-go refuses it.
func loadWithClientGo(source []byte) (*clientcmdapi.Config, bool) {
	config, err := clientcmd.Load(source)
	return config, err == nil
}

// compareExec compares an exec config with the one that client-go read. client-go does not tell a
// missing provideClusterInfo from false, and sets a default interactiveMode.
func compareExec(t *testing.T, e *Exec, user *clientcmdapi.AuthInfo) {
	t.Helper()
	if user == nil || (e == nil) != (user.Exec == nil) {
		t.Fatalf("got %s, client-go %s", indentJSON(e), indentJSON(user))
	}
	if e == nil {
		return
	}
	want := Exec{
		APIVersion:         user.Exec.APIVersion,
		Command:            user.Exec.Command,
		Args:               user.Exec.Args,
		InstallHint:        user.Exec.InstallHint,
		InteractiveMode:    e.InteractiveMode,
		ProvideClusterInfo: &user.Exec.ProvideClusterInfo,
	}
	if e.ProvideClusterInfo == nil && !user.Exec.ProvideClusterInfo {
		want.ProvideClusterInfo = nil
	}
	for _, v := range user.Exec.Env {
		want.Env = append(want.Env, EnvVar{v.Name, v.Value})
	}
	if !e.equal(want) {
		t.Fatalf("got %s, client-go %s", indentJSON(e), indentJSON(user.Exec))
	}
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
		// client-go reads the same values from every file that both packages accept.
		config, ok := loadWithClientGo(source)
		if !ok {
			return
		}
		for _, u := range k.Users {
			compareExec(t, u.Exec, config.AuthInfos[u.Name])
		}
	})
}
