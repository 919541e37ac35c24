package kubeconfig

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"unicode/utf8"

	"k8s.io/client-go/tools/clientcmd"
)

var noClusterInfo = false

// newDocument returns a Document with words as arguments and as values of variables.
func newDocument(name, namespace string, words ...string) Document {
	d := Document{
		Name: name, Namespace: namespace,
		Cluster: map[string]any{
			"server":                     "https://aks.example:443",
			"certificate-authority-data": "LS0t",
			"disable-compression":        true,
		},
		Exec: Exec{
			APIVersion: "client.authentication.k8s.io/v1", Command: "akslogin", Args: words,
			InteractiveMode: "Never", ProvideClusterInfo: &noClusterInfo, InstallHint: "install it",
		},
	}
	for _, w := range words {
		d.Exec.Env = append(d.Exec.Env, EnvVar{"V", w})
	}
	return d
}

const wantYAML = `apiVersion: v1
kind: Config
current-context: aks
clusters:
- name: aks
  cluster:
    certificate-authority-data: LS0t
    disable-compression: true
    server: https://aks.example:443
contexts:
- name: aks
  context:
    cluster: aks
    user: aks
    namespace: "yes"
users:
- name: aks
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: akslogin
      args:
      - "get-token"
      - "1"
      env:
      - name: "V"
        value: "get-token"
      - name: "V"
        value: "1"
      interactiveMode: Never
      provideClusterInfo: false
      installHint: install it
`

func TestDocument(t *testing.T) {
	d := newDocument("aks", "yes", "get-token", "1")
	got, err := d.YAML()
	if err != nil || string(got) != wantYAML {
		t.Errorf("%v\n%s", err, got)
	}
	for range 20 { // maps have no order
		if again, _ := d.YAML(); !bytes.Equal(again, got) {
			t.Fatal("the same document is written differently")
		}
	}
	oneLine, _ := d.JSON()
	if bytes.ContainsAny(oneLine, "\n") ||
		!bytes.Contains(oneLine, []byte(`"args":["get-token","1"]`)) {
		t.Errorf("%s", oneLine)
	}
	d.Exec.Args, d.Exec.Env, d.Namespace = nil, nil, ""
	short, _ := d.JSON()
	const wantExec = `"args":[],"interactiveMode":"Never","provideClusterInfo":false`
	if !bytes.Contains(short, []byte(wantExec)) || bytes.Contains(short, []byte("namespace")) {
		t.Errorf("%s", short)
	}
	d.Cluster["extensions"] = func() {}
	if _, err := d.YAML(); err == nil {
		t.Error("a func was written")
	}
}

// ambiguousStrings are strings that some reader of YAML or JSON takes for something else or
// refuses, unless they are quoted and escaped.
var ambiguousStrings = []string{
	"", " ", "yes", "No", "on", "y", "null", "~", "true", "1", "0x1f", "0o7", "1_000", "1e3", ".inf", "12:30:45", "2001-01-01", "<<", "=", "-", "- a", "a: b", "a #b", "#", "?", "*a",
	"&a", "!a", "%a", "@a", "`a", "{a}", "[a]", "'", `"`, `\`, `\n`, "a\nb", "a\n", "\na", "\ta", "a\r\nb", "é", "\x7f", "\u0085", "\u0090", "\u2028", "\ufeff", "\ufffd", "😀", "<&>", "---", "...", "a,b",
	"--client-id=1", "https://aks.example:443",
}

// client-go, and so kubectl, reads back what a Document holds.
func TestDocumentRoundTrip(t *testing.T) {
	for _, word := range ambiguousStrings {
		if word != "" {
			checkRoundTrip(t, word, word, ambiguousStrings...)
		}
	}
}

func checkRoundTrip(t *testing.T, name, namespace string, words ...string) {
	t.Helper()
	d := newDocument(name, namespace, words...)
	d.Cluster["extensions"] = []any{map[string]any{
		"name":      name,
		"extension": map[string]any{name: []any{1, 2.5, nil, name}},
	}}
	for _, write := range []func() ([]byte, error){d.YAML, d.JSON} {
		raw, err := write()
		if err != nil {
			t.Fatal(err)
		}
		c, err := clientcmd.Load(raw)
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		context, cluster, user := c.Contexts[name], c.Clusters[name], c.AuthInfos[name]
		if c.CurrentContext != name || cluster == nil || user == nil || context == nil ||
			context.Cluster != name || context.AuthInfo != name || context.Namespace != namespace {
			t.Fatalf("names of %q: %+v\n%s", name, c, raw)
		}
		e := user.Exec
		if !slices.Equal(e.Args, words) || len(e.Env) != len(words) ||
			e.InteractiveMode != "Never" || e.ProvideClusterInfo ||
			cluster.Server != "https://aks.example:443" {
			t.Fatalf("%q\n%s", e.Args, raw)
		}
		for i, v := range e.Env {
			if v.Value != words[i] {
				t.Errorf("%q became %q", words[i], v.Value)
			}
		}
		if got := slices.Collect(maps.Keys(cluster.Extensions)); len(got) != 1 || got[0] != name {
			t.Errorf("extensions %q", got)
		}
	}
}

func FuzzDocument(f *testing.F) {
	for _, word := range ambiguousStrings {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		// JSON cannot hold other text, and YAML no key of 1 KiB.
		if word != "" && utf8.ValidString(word) && len(word) < 100 {
			checkRoundTrip(t, word, word, word)
		}
	})
}
