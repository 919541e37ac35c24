package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrg/xdg"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

// hostileText is what a terminal would obey: colours, a link, the clipboard, a title, C1 as
// characters and as bytes; text that turns, hides or forges other text; and bytes that are no text.
const hostileText = "a\x1b[31mred\x1b]8;;https://evil.example\x07link\x1b]8;;\x07\x1b]52;c;ZXZpbA==\x07\x1b]0;title\x1b\\\u009b31m\u009d0;x\u009c" +
	"\r\nakslogin: error: forged\n\u202egnp.exe\u2066\u2069\u200b\u200d\ufeff\u2028\u2029\u00ad\U000e0041\u3164\u115f\u1160\uffa0\u2800\ufe0f\u034f\u180b\u17b4z\u0300\u0301\u0302\u0303\u0304\u0305\u0306\ue000\x7f\t\v\f\b\xff\xfe\x9b31m\xed\xa0\x80"

// hostileTexts are evil, evil where a value of another kind is expected, and more of it than
// anybody needs.
var hostileTexts = map[string]string{
	"plain": hostileText, "address": "https://" + hostileText + ".example/" + hostileText, "long": strings.Repeat(hostileText, 300), "letters": strings.Repeat("a", 100<<10),
	"escapes": strings.Repeat("\x1b", 64<<10), "pair": "u=" + hostileText + ",x=" + hostileText, "JSON": `{"a":"` + hostileText + `"}`, "placeholder": "{tenant}{source}%s%n%x\x1b" + hostileText,
}

// readVariables are the variables that this program reads.
func readVariables() (names []string) {
	for _, v := range flags.VariablesWithoutFlag {
		names = append(names, v.Names...)
	}
	for _, t := range []reflect.Type{reflect.TypeFor[token.Request](), reflect.TypeFor[flags.Cache]()} {
		for i := range t.NumField() {
			for _, v := range token.Variables(t.Field(i).Tag.Get) {
				names = append(names, v.Name)
			}
		}
	}
	return append(names, "KUBECONFIG", "HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "https_proxy", "PATH", "no_proxy", "AZURE_SDK_GO_LOGGING")
}

// runInProcess runs the program in this process, with nothing in its environment but what is given
// and what keeps it off the network.
func runInProcess(t *testing.T, folder string, env map[string]string, args ...string) (got runResult) {
	t.Helper()
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		os.Unsetenv(name)
		defer os.Setenv(name, value)
	}
	base := map[string]string{
		"HOME": folder, "HTTPS_PROXY": "http://127.0.0.1:1", "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:1", "PATH": "/nowhere", "BROWSER": "/nowhere/browser", "AZURE_CLI_TIMEOUT": "5s",
	}
	for _, set := range []map[string]string{base, env} {
		for name, value := range set {
			if err := os.Setenv(name, value); err != nil {
				t.Fatal(err)
			}
			defer os.Unsetenv(name)
		}
	}
	xdg.Reload()
	defer xdg.Reload()
	outputs := map[**os.File]*string{&os.Stdout: &got.stdout, &os.Stderr: &got.stderr}
	for output, text := range outputs {
		file, err := os.Create(filepath.Join(t.TempDir(), "output"))
		if err != nil {
			t.Fatal(err)
		}
		was := *output
		*output = file
		defer func() {
			*output = was
			raw, err := os.ReadFile(file.Name())
			if err != nil {
				t.Error(err)
			}
			*text = string(raw)
			file.Close()
		}()
	}
	got.exit = run(args, options{retryDelay: time.Millisecond, kubeconfigLockTimeout: time.Millisecond, maxLockWait: time.Millisecond})
	return got
}

// unlimitedLine are the lines of files for programs. Those of doctor have what was found, and what
// to do.
const unlimitedLine = 1 << 20

// attackSurface is a command with everything right, to which something evil is added.
type attackSurface struct {
	args          []string
	maxLineLength int // of a line on standard output
}

func attackSurfaces(t *testing.T, folder string) map[string]attackSurface {
	t.Helper()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	federated := write("token", sampleAssertion)
	stanza := write("kubeconfig", strings.ReplaceAll(hostileKubeconfig, "EVIL", "a"))
	all := map[string]attackSurface{
		"doctor":          {[]string{"doctor", "--offline", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", stanza}, 2 * maxLineLength},
		"doctor asking":   {[]string{"doctor", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", stanza}, 2 * maxLineLength},
		"doctor JSON":     {[]string{"doctor", "--offline", "-o", "json", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", stanza}, unlimitedLine},
		"convert":         {[]string{"convert-kubeconfig", "--dry-run", "--kubeconfig", stanza, "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"kubeconfig":      {[]string{"kubeconfig", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"kubeconfig JSON": {[]string{"kubeconfig", "-o", "json", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"airflow":         {[]string{"kubeconfig", "-o", "airflow-env", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"of Azure":        {[]string{"kubeconfig", "--resource-id", clusterID, "--federated-token-file", federated, "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"cache list":      {[]string{"cache", "list"}, maxLineLength},
		"cache clear":     {[]string{"cache", "clear"}, maxLineLength},
		"get-token":       {[]string{"get-token", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client}, maxLineLength},
	}
	for _, m := range token.Methods {
		args := []string{"get-token", "-v", "--login", m.Name, "--tenant-id", tenant, "--client-id", client}
		for _, given := range [][2]string{
			{"client-secret", hostileSecret}, {"username", alice}, {"password", hostileSecret}, {"federated-token-file", federated}, {"azure-pipelines-service-connection-id", serviceConnection.ID},
		} {
			if flag := given[0]; slices.Contains(slices.Concat(m.Required, m.Optional), flag) || strings.Contains(strings.Join(m.Required, "|"), flag) {
				args = append(args, "--"+flag, given[1])
			}
		}
		all["get-token "+m.Name] = attackSurface{args, maxLineLength}
	}
	return all
}

const hostileKubeconfig = `apiVersion: v1
kind: Config
current-context: "EVIL"
contexts: [{name: "EVIL", context: {cluster: "EVIL", user: "EVIL", namespace: "EVIL"}}]
clusters: [{name: "EVIL", cluster: {server: "https://EVIL.example", certificate-authority: "EVIL", proxy-url: "EVIL", tls-server-name: "EVIL"}}]
users:
- name: "EVIL"
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: kubelogin
      args: [get-token, --login, workloadidentity, --environment, "EVIL", --server-id, "EVIL", "--EVIL"]
      env: [{name: AZURE_AUTHORITY_HOST, value: "EVIL"}]
      installHint: "EVIL"
      interactiveMode: "EVIL"
`

func (s attackSurface) wantPlainText(t *testing.T, got runResult) {
	t.Helper()
	if why := textProblem(got.stderr, maxLineLength); why != "" {
		t.Errorf("stderr: %s in %.600q", why, got.stderr)
	}
	if why := textProblem(got.stdout, s.maxLineLength); why != "" {
		t.Errorf("stdout: %s in %.600q", why, got.stdout)
	}
	if strings.Contains(got.stderr, "\nakslogin: error: forged") || strings.Count(got.stderr, "\nakslogin: error: ") > 1 {
		t.Errorf("an error is forged: %.600q", got.stderr)
	}
	if strings.Contains(got.stderr, hostileSecret) || strings.Contains(got.stdout, hostileSecret) {
		t.Errorf("a secret is shown: %+v", got)
	}
}

// pickKind is the kind of evil for the nth of many.
func pickKind(n int, kinds []string) string {
	if n%2 == 0 {
		return "plain"
	}
	return kinds[n/2%len(kinds)]
}

// Every flag, and every variable that is read, holds what is evil: what is written is text, on
// lines of its own.
func TestHostileValues(t *testing.T) {
	kinds := slices.Sorted(maps.Keys(hostileTexts))
	t.Chdir(t.TempDir()) // relative paths are flags' values too
	n := 0
	surfaces := attackSurfaces(t, t.TempDir())
	for _, name := range slices.Sorted(maps.Keys(surfaces)) { // n depends on the order
		s := surfaces[name]
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			check := func(what, kind string, got runResult) {
				if s.wantPlainText(t, got); t.Failed() {
					t.Fatalf("%s is %s", what, kind)
				}
			}
			for _, flag := range flagNames(t, s.args[0]) {
				if n++; n%sampleEvery != 0 {
					continue
				}
				kind := pickKind(n/sampleEvery, kinds)
				check("--"+flag, kind, runInProcess(t, folder, nil, append(slices.Clone(s.args), "--"+flag+"="+hostileTexts[kind])...))
			}
			for _, kind := range kinds {
				if n++; n%sampleEvery != 0 || slices.Contains(s.args, "-v") { // the same command with another login
					continue
				}
				for _, format := range []string{"%s", "--%s", "-%s", "--client-id=" + client + "%s", "--%s=x"} {
					check("a word", kind, runInProcess(t, folder, nil, append(slices.Clone(s.args), strings.ReplaceAll(format, "%s", hostileTexts[kind]))...))
				}
			}
			for _, variable := range readVariables() {
				if n++; n%sampleEvery != 0 {
					continue
				}
				kind := pickKind(n/sampleEvery, kinds)
				check("$"+variable, kind, runInProcess(t, folder, map[string]string{variable: hostileTexts[kind]}, s.args...))
			}
		})
	}
}

// A kubeconfig gets no character that nobody sees as it is, in whatever form it is written and
// however the characters are escaped there.
func TestInvisibleCharactersAreNotWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	surfaces := attackSurfaces(t, t.TempDir())
	uri := slices.Concat(surfaces["airflow"].args, []string{"-o", "airflow-uri"})
	for name, args := range map[string][]string{
		"YAML": surfaces["kubeconfig"].args, "JSON": surfaces["kubeconfig JSON"].args, "variable": surfaces["airflow"].args, "URI": uri, "convert": surfaces["convert"].args,
	} {
		for text, want := range map[string]string{
			"a" + strings.Repeat("\x1b", 64<<10): "U+001B", "a\u009bb": "U+009B", "a\u202eb": "U+202E", "a\u3164": "U+3164", "\u2800a": "U+2800", "a\ufe0f": "U+FE0F", "a\u00a0b": "U+00A0",
			"a\u0301\u0302\u0303\u0304\u0305": "a stack of combining marks",
		} {
			flags := []string{"--federated-token-file", "--cache-dir"}
			if name != "convert" {
				flags = append(flags, "--name", "--namespace", "--tls-server-name")
			}
			for _, flag := range flags {
				got := runInProcess(t, t.TempDir(), nil, append(slices.Clone(args), flag+"="+text)...)
				attackSurface{maxLineLength: maxLineLength}.wantPlainText(t, got)
				if got.exit != 2 || got.stdout != "" || !strings.Contains(got.stderr, "would have "+want) {
					t.Errorf("%s, %s %.20q: %+v", name, flag, text, got)
				}
			}
		}
		visible := "naïve/e\u0301\u0302\u0303\u0304/日本語/👍"
		if got := runInProcess(t, t.TempDir(), nil, append(slices.Clone(args), "--federated-token-file="+visible)...); got.exit != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// flagNames are a command's.
func flagNames(t *testing.T, command string) (names []string) {
	t.Helper()
	for _, c := range grammarModel(t).Leaves(false) {
		if c.Name != command && c.Parent.Name != command {
			continue
		}
		for _, f := range c.Flags {
			if f.Name != "help" && f.Name != "version" && !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return append(names, "v")
}

// What is read from files and from the client is evil: the kubeconfig, the federated token's
// claims, the client's wish, entries in the cache.
func TestHostileFiles(t *testing.T) {
	quote := func(s string) string {
		raw, _ := json.Marshal(strings.ToValidUTF8(s, "?") + "\x00")
		return string(raw)
	}
	yaml := func(s string) string { return strings.ReplaceAll(hostileKubeconfig, `"EVIL"`, quote(s)) }
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	assertion := func(s string) string {
		claims := fmt.Sprintf(`{"iss":%s,"sub":%[1]s,"aud":[%[1]s,%[1]s],"exp":4102444800,"iat":1,"azp":%[1]s,"kubernetes.io":{"namespace":%[1]s,"pod":{"name":%[1]s},"serviceaccount":{"name":%[1]s}}}`, quote(s))
		return part(`{"alg":"RS256","kid":`+quote(s)+`}`) + "." + part(claims) + "." + part("signature")
	}
	deep := strings.Repeat(`{"spec":`, 20000) + strings.Repeat("}", 20000)
	kinds := slices.Sorted(maps.Keys(hostileTexts))
	n, m := 0, 0
	t.Chdir(t.TempDir())
	surfaces := attackSurfaces(t, t.TempDir())
	for _, name := range slices.Sorted(maps.Keys(surfaces)) { // n depends on the order
		s := surfaces[name]
		t.Run(name, func(t *testing.T) {
			some := []string{"plain", pickKind(2*n+1, kinds)}
			if strings.HasPrefix(name, "cache") {
				some = kinds
			}
			for _, kind := range some {
				n++
				value, folder := hostileTexts[kind], t.TempDir()
				write := func(name, content string) string {
					path := filepath.Join(folder, name)
					if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
					return path
				}
				entries := filepath.Join(folder, ".cache", "akslogin")
				write(filepath.Join(".cache", "akslogin", strings.Repeat("cd", 16)+".sealed"),
					"akslogin cache entry 1\n"+`{"inputs":[`+quote("method="+value)+`,`+quote("client="+value)+`,`+quote(value)+`],"holds":"token","stored":"0001-01-01T00:00:00Z","expires":"9999-12-31T00:00:00Z"}`+"\n")
				if err := os.Chmod(entries, 0o700); err != nil {
					t.Fatal(err)
				}
				short := value[:min(len(value), 8<<10)]
				cases := map[string]struct {
					env  map[string]string
					more []string
				}{
					"cache":            {nil, nil},
					"kubeconfig":       {nil, []string{"--kubeconfig", write("kubeconfig", yaml(value))}},
					"raw kubeconfig":   {nil, []string{"--kubeconfig", write("raw", strings.ReplaceAll(hostileKubeconfig, "EVIL", value))}},
					"kubeconfig by":    {map[string]string{"KUBECONFIG": write("by", yaml(value))}, nil},
					"no kubeconfig":    {nil, []string{"--kubeconfig", write("none", value)}},
					"federated token":  {nil, []string{"--federated-token-file", write("assertion", assertion(short))}},
					"no token":         {nil, []string{"--federated-token-file", write("no-token", value)}},
					"token in a place": {nil, []string{"--federated-token-file", folder + "/" + value}},
					"certificate":      {nil, []string{"--client-certificate", write("certificate", value)}},
					"CA":               {nil, []string{"--certificate-authority", write("ca", value)}},
					"version":          {map[string]string{"KUBERNETES_EXEC_INFO": `{"apiVersion":` + quote(short) + `,"kind":"ExecCredential"}`}, nil},
					"kind":             {map[string]string{"KUBERNETES_EXEC_INFO": `{"kind":` + quote(short) + `,"apiVersion":"client.authentication.k8s.io/v1"}`}, nil},
					"deep":             {map[string]string{"KUBERNETES_EXEC_INFO": deep}, nil},
					"duplicates":       {map[string]string{"KUBERNETES_EXEC_INFO": `{"apiVersion":"client.authentication.k8s.io/v1","apiVersion":` + quote(short) + `,"spec":{"interactive":true,"interactive":"` + "\u202e" + `"}}`}, nil},
					"no wish":          {map[string]string{"KUBERNETES_EXEC_INFO": short}, nil},
				}
				for _, what := range slices.Sorted(maps.Keys(cases)) {
					c := cases[what]
					if m++; m%sampleEvery != 0 {
						continue
					}
					if len(c.more) > 0 && !slices.Contains(flagNames(t, s.args[0]), strings.TrimPrefix(c.more[0], "--")) {
						continue
					}
					got := runInProcess(t, folder, c.env, append(slices.Clone(s.args), c.more...)...)
					if s.wantPlainText(t, got); t.Failed() {
						t.Fatalf("%s is %s", what, kind)
					}
				}
			}
		})
	}
}

// More is given than anybody reads: as much as the kernel lets through.
func TestOversizedInputDoesNotBlockLogin(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_STACK, &limit); err != nil {
		t.Fatal(err)
	}
	raised := limit
	raised.Cur = raised.Max // the kernel allows a quarter of it for arguments and environment, and 6 MB at most
	if err := syscall.Setrlimit(syscall.RLIMIT_STACK, &raised); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_STACK, &limit)
	const most = 128<<10 - 200 // of one string
	login := secretLogins(t)["workloadidentity"]
	e := newHostileNetwork(t, serveLikeEntra)
	var env []string
	for i := range 40 {
		env = append(env, fmt.Sprintf("UNREAD_%d=%s", i, strings.Repeat("\x1b[31m", most/5)))
	}
	got := runProgram(t, e.env(env...), getTokenArgs(login.args...)...)
	if got.exit != 0 || got.stderr != "" {
		t.Errorf("with five megabytes that are not read: %d, %.500s", got.exit, got.stderr)
	}
	args := getTokenArgs(login.args...)
	for range 30 {
		args = append(args, strings.Repeat("a", most))
	}
	if got := runProgram(t, e.env(), args...); got.exit != 0 || got.stderr != "" {
		t.Errorf("with four megabytes of words that are ignored: %d, %.500s", got.exit, got.stderr)
	}
	for _, variable := range readVariables() {
		if slices.Contains([]string{"PATH", "HOME", "HTTPS_PROXY", "https_proxy"}, variable) {
			continue
		}
		if len(env) < 75 {
			env = append(env, variable+"="+strings.Repeat("\x1b[31m", 5000))
		}
	}
	got = runProgram(t, e.env(env...), getTokenArgs(login.args...)...)
	got.wantErrorLines(t)
	wantPlainText(t, got)
	if n := e.wantSecretOnlyAt(t, login.secret, microsoftHost); n != 2 {
		t.Errorf("the assertion was sent %d times", n)
	}
}
