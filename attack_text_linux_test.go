package main

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

	"github.com/akslogin/akslogin/token"
)

// evil is what a terminal would obey: colours, a link, the clipboard, a title, C1 as characters and as bytes; text that turns, hides or forges other
// text; and bytes that are no text.
const evil = "a\x1b[31mred\x1b]8;;https://evil.example\x07link\x1b]8;;\x07\x1b]52;c;ZXZpbA==\x07\x1b]0;title\x1b\\\u009b31m\u009d0;x\u009c" +
	"\r\nakslogin: error: forged\n\u202egnp.exe\u2066\u2069\u200b\u200d\ufeff\u2028\u2029\u00ad\U000e0041\x7f\t\v\f\b\xff\xfe\x9b31m\xed\xa0\x80"

// evils are evil, evil where a value of another kind is expected, and more of it than anybody needs.
var evils = map[string]string{
	"plain": evil, "address": "https://" + evil + ".example/" + evil, "long": strings.Repeat(evil, 300), "letters": strings.Repeat("a", 100<<10),
	"escapes": strings.Repeat("\x1b", 64<<10), "pair": "u=" + evil + ",x=" + evil, "JSON": `{"a":"` + evil + `"}`, "placeholder": "{tenant}{source}%s%n%x\x1b" + evil,
}

// read are the variables that this program reads.
func read() (names []string) {
	for _, v := range otherVariables {
		names = append(names, v.Names...)
	}
	for _, t := range []reflect.Type{reflect.TypeFor[token.Request](), reflect.TypeFor[cacheFlags]()} {
		for i := range t.NumField() {
			for _, v := range token.Variables(t.Field(i).Tag.Get) {
				names = append(names, v.Name)
			}
		}
	}
	return append(names, "KUBECONFIG", "HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "https_proxy", "PATH", "no_proxy", "AZURE_SDK_GO_LOGGING")
}

// inProcess runs the program in this process, with nothing in its environment but what is given and what keeps it off the network.
func inProcess(t *testing.T, folder string, env map[string]string, args ...string) (got attempted) {
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
	got.exit = run(args, world{pace: time.Millisecond, lockPatience: time.Millisecond, queue: time.Millisecond})
	return got
}

// unbounded are the lines of files for programs. Those of doctor have what was found, and what to do.
const unbounded = 1 << 20

// surface is a command with everything right, to which something evil is added.
type surface struct {
	args    []string
	longest int // of a line on standard output
}

func surfaces(t *testing.T, folder string) map[string]surface {
	t.Helper()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	federated := write("token", benchAssertion)
	stanza := write("kubeconfig", strings.ReplaceAll(hostileKubeconfig, "EVIL", "a"))
	all := map[string]surface{
		"doctor":          {[]string{"doctor", "--offline", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", stanza}, 2 * maxLine},
		"doctor asking":   {[]string{"doctor", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", stanza}, 2 * maxLine},
		"doctor JSON":     {[]string{"doctor", "--offline", "-o", "json", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", stanza}, unbounded},
		"convert":         {[]string{"convert-kubeconfig", "--dry-run", "--kubeconfig", stanza, "--tenant-id", tenant, "--client-id", client}, unbounded},
		"kubeconfig":      {[]string{"kubeconfig", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unbounded},
		"kubeconfig JSON": {[]string{"kubeconfig", "-o", "json", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unbounded},
		"airflow":         {[]string{"kubeconfig", "-o", "airflow-env", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unbounded},
		"of Azure":        {[]string{"kubeconfig", "--resource-id", clusterID, "--federated-token-file", federated, "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unbounded},
		"cache list":      {[]string{"cache", "list"}, maxLine},
		"cache clear":     {[]string{"cache", "clear"}, maxLine},
		"get-token":       {[]string{"get-token", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client}, maxLine},
	}
	for _, m := range token.Methods {
		args := []string{"get-token", "-v", "--login", m.Name, "--tenant-id", tenant, "--client-id", client}
		for flag, value := range map[string]string{
			"client-secret": hostileSecret, "username": alice, "password": hostileSecret, "federated-token-file": federated, "azure-pipelines-service-connection-id": serviceConnection.ID,
		} {
			if slices.Contains(slices.Concat(m.Needs, m.Uses), flag) || strings.Contains(strings.Join(m.Needs, "|"), flag) {
				args = append(args, "--"+flag, value)
			}
		}
		all["get-token "+m.Name] = surface{args, maxLine}
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

func (s surface) wantClean(t *testing.T, got attempted) {
	t.Helper()
	if why := unclean(got.stderr, maxLine); why != "" {
		t.Errorf("stderr: %s in %.600q", why, got.stderr)
	}
	if why := unclean(got.stdout, s.longest); why != "" {
		t.Errorf("stdout: %s in %.600q", why, got.stdout)
	}
	if strings.Contains(got.stderr, "\nakslogin: error: forged") || strings.Count(got.stderr, "\nakslogin: error: ") > 1 {
		t.Errorf("an error is forged: %.600q", got.stderr)
	}
	if strings.Contains(got.stderr, hostileSecret) || strings.Contains(got.stdout, hostileSecret) {
		t.Errorf("a secret is shown: %+v", got)
	}
}

// turn is the kind of evil for the nth of many.
func turn(n int, kinds []string) string {
	if n%2 == 0 {
		return "plain"
	}
	return kinds[n/2%len(kinds)]
}

// Every flag, and every variable that is read, holds what is evil: what is written is text, on lines of its own.
func TestHostileValues(t *testing.T) {
	kinds := slices.Sorted(maps.Keys(evils))
	t.Chdir(t.TempDir()) // relative paths are flags' values too
	n := 0
	for name, s := range surfaces(t, t.TempDir()) {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			check := func(what, kind string, got attempted) {
				if s.wantClean(t, got); t.Failed() {
					t.Fatalf("%s is %s", what, kind)
				}
			}
			for _, flag := range flagNames(t, s.args[0]) {
				if n++; n%oneIn != 0 {
					continue
				}
				kind := turn(n/oneIn, kinds)
				check("--"+flag, kind, inProcess(t, folder, nil, append(slices.Clone(s.args), "--"+flag+"="+evils[kind])...))
			}
			for _, kind := range kinds {
				if n++; n%oneIn != 0 || slices.Contains(s.args, "-v") { // the same command with another login
					continue
				}
				for _, format := range []string{"%s", "--%s", "-%s", "--client-id=" + client + "%s", "--%s=x"} {
					check("a word", kind, inProcess(t, folder, nil, append(slices.Clone(s.args), strings.ReplaceAll(format, "%s", evils[kind]))...))
				}
			}
			for _, variable := range read() {
				if n++; n%oneIn != 0 {
					continue
				}
				kind := turn(n/oneIn, kinds)
				check("$"+variable, kind, inProcess(t, folder, map[string]string{variable: evils[kind]}, s.args...))
			}
		})
	}
}

// flagNames are a command's.
func flagNames(t *testing.T, command string) (names []string) {
	t.Helper()
	for _, c := range model(t).Leaves(false) {
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

// What is read from files and from the client is evil: the kubeconfig, the federated token's claims, the client's wish, entries in the cache.
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
	kinds := slices.Sorted(maps.Keys(evils))
	n, m := 0, 0
	t.Chdir(t.TempDir())
	for name, s := range surfaces(t, t.TempDir()) {
		t.Run(name, func(t *testing.T) {
			some := []string{"plain", turn(2*n+1, kinds)}
			if strings.HasPrefix(name, "cache") {
				some = kinds
			}
			for _, kind := range some {
				n++
				value, folder := evils[kind], t.TempDir()
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
				for what, c := range cases {
					if m++; m%oneIn != 0 {
						continue
					}
					if len(c.more) > 0 && !slices.Contains(flagNames(t, s.args[0]), strings.TrimPrefix(c.more[0], "--")) {
						continue
					}
					got := inProcess(t, folder, c.env, append(slices.Clone(s.args), c.more...)...)
					if s.wantClean(t, got); t.Failed() {
						t.Fatalf("%s is %s", what, kind)
					}
				}
			}
		})
	}
}

// More is given than anybody reads: as much as the kernel lets through.
func TestMuchOfEverything(t *testing.T) {
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
	login := logins(t)["workloadidentity"]
	e := newEverywhere(t, honest)
	var env []string
	for i := range 40 {
		env = append(env, fmt.Sprintf("UNREAD_%d=%s", i, strings.Repeat("\x1b[31m", most/5)))
	}
	got := attempt(t, e.environment(env...), getToken(login.args...)...)
	if got.exit != 0 || got.stderr != "" {
		t.Errorf("with five megabytes that are not read: %d, %.500s", got.exit, got.stderr)
	}
	args := getToken(login.args...)
	for range 30 {
		args = append(args, strings.Repeat("a", most))
	}
	if got := attempt(t, e.environment(), args...); got.exit != 0 || got.stderr != "" {
		t.Errorf("with four megabytes of words that are ignored: %d, %.500s", got.exit, got.stderr)
	}
	for _, variable := range read() {
		if slices.Contains([]string{"PATH", "HOME", "HTTPS_PROXY", "https_proxy"}, variable) {
			continue
		}
		if len(env) < 75 {
			env = append(env, variable+"="+strings.Repeat("\x1b[31m", 5000))
		}
	}
	got = attempt(t, e.environment(env...), getToken(login.args...)...)
	got.wantRefused(t)
	wantClean(t, got)
	if n := e.wantOnlyAt(t, login.secret, microsoft); n != 2 {
		t.Errorf("the assertion was sent %d times", n)
	}
}
