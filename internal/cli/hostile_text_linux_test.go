package cli

import (
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

// hostileText has sequences that control a terminal (colors, a link, the clipboard, a title, C1 as
// characters and as bytes), characters that reorder, hide or forge text, and invalid UTF-8.
const hostileText = "a\x1b[31mred\x1b]8;;https://evil.example\x07link\x1b]8;;\x07\x1b]52;c;ZXZpbA==\x07\x1b]0;title\x1b\\\u009b31m\u009d0;x\u009c" +
	"\r\nakslogin: error: forged\n\u202egnp.exe\u2066\u2069\u200b\u200d\ufeff\u2028\u2029\u00ad\U000e0041\x7f\t\v\f\b\xff\xfe\x9b31m\xed\xa0\x80" +
	"\u3164\u115f\u1160\uffa0\u2800\ufe0f\u034f\u180b\u17b4\ue000z\u0300\u0301\u0302\u0303\u0304\u0305"

// hostileTexts are the hostile text itself, embedded in values of several kinds, and very long
// texts.
var hostileTexts = map[string]string{
	"plain":       hostileText,
	"address":     "https://" + hostileText + ".example/" + hostileText,
	"pair":        "u=" + hostileText + ",x=" + hostileText,
	"JSON":        `{"a":"` + hostileText + `"}`,
	"placeholder": "{tenant}{source}%s%n%x\x1b" + hostileText,
	"long":        strings.Repeat(hostileText, 300),
	"letters":     strings.Repeat("a", 100<<10),
	"escapes":     strings.Repeat("\x1b", 64<<10),
}

// readVariables returns the names of the variables that the program reads.
func readVariables() (names []string) {
	for _, v := range flags.VariablesWithoutFlag() {
		names = append(names, v.Names...)
	}
	for _, t := range []reflect.Type{
		reflect.TypeFor[token.Request](), reflect.TypeFor[flags.Cache](),
	} {
		for i := range t.NumField() {
			for _, v := range token.Variables(t.Field(i).Tag.Get) {
				names = append(names, v.Name)
			}
		}
	}
	return append(names, "KUBECONFIG", "HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "https_proxy",
		"PATH", "no_proxy", "AZURE_SDK_GO_LOGGING")
}

// runInProcess runs the program in this process. Its environment has only the given variables, and
// others that keep it off the network.
func runInProcess(
	t *testing.T, folder string, env map[string]string, args ...string,
) (got runResult) {
	t.Helper()
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		os.Unsetenv(name)
		defer os.Setenv(name, value)
	}
	variables := map[string]string{
		"HOME":                              folder,
		"TMPDIR":                            folder,
		"HTTPS_PROXY":                       unreachableProxy,
		"AZURE_POD_IDENTITY_AUTHORITY_HOST": unreachableProxy,
		"PATH":                              "/nowhere",
		"BROWSER":                           "/nowhere/browser",
		"AZURE_CLI_TIMEOUT":                 "5s",
	}
	maps.Copy(variables, env)
	for name, value := range variables {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
		defer os.Unsetenv(name)
	}
	xdg.Reload()
	defer xdg.Reload()
	outputs := map[**os.File]*string{&os.Stdout: &got.stdout, &os.Stderr: &got.stderr}
	for output, text := range outputs {
		file, err := os.Create(filepath.Join(t.TempDir(), "output"))
		if err != nil {
			t.Fatal(err)
		}
		original := *output
		*output = file
		defer func() {
			*output = original
			raw, err := os.ReadFile(file.Name())
			if err != nil {
				t.Error(err)
			}
			*text = string(raw)
			file.Close()
		}()
	}
	got.exit = run(args, options{
		retryDelay:            time.Millisecond,
		kubeconfigLockTimeout: time.Millisecond,
		maxLockWait:           time.Millisecond,
	})
	return got
}

// unlimitedLine is the maxLineLength of output for programs. doctor prints a finding and its hint
// on one line, and so has twice the usual length.
const unlimitedLine = 1 << 20

// attackSurface is a valid command line, to which tests add hostile input.
type attackSurface struct {
	args          []string
	maxLineLength int // on standard output
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
	kubeconfig := write("kubeconfig", strings.ReplaceAll(hostileKubeconfig, "EVIL", "a"))
	surfaces := map[string]attackSurface{
		"doctor":          {[]string{"doctor", "--offline", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", kubeconfig}, 2 * maxLineLength},
		"doctor online":   {[]string{"doctor", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", kubeconfig}, 2 * maxLineLength},
		"doctor JSON":     {[]string{"doctor", "--offline", "-o", "json", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client, "--kubeconfig", kubeconfig}, unlimitedLine},
		"convert":         {[]string{"convert-kubeconfig", "--dry-run", "--kubeconfig", kubeconfig, "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"kubeconfig":      {[]string{"kubeconfig", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"kubeconfig JSON": {[]string{"kubeconfig", "-o", "json", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"airflow":         {[]string{"kubeconfig", "-o", "airflow-env", "--server", "https://aks.example", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"of Azure":        {[]string{"kubeconfig", "--resource-id", clusterID, "--federated-token-file", federated, "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client}, unlimitedLine},
		"cache list":      {[]string{"cache", "list"}, maxLineLength},
		"cache clear":     {[]string{"cache", "clear"}, maxLineLength},
		"get-token":       {[]string{"get-token", "--federated-token-file", federated, "--tenant-id", tenant, "--client-id", client}, maxLineLength},
	}
	for _, m := range token.Methods {
		args := []string{
			"get-token", "-v", "--login", m.Name, "--tenant-id", tenant, "--client-id", client,
		}
		values := map[string]string{
			"client-secret": hostileSecret, "username": alice, "password": hostileSecret,
			"federated-token-file":                  federated,
			"azure-pipelines-service-connection-id": serviceConnection.ID,
		}
		for _, flag := range slices.Sorted(maps.Keys(values)) {
			required := strings.Contains(strings.Join(m.Required, "|"), flag)
			if required || slices.Contains(m.Optional, flag) {
				args = append(args, "--"+flag, values[flag])
			}
		}
		limit := maxLineLength
		if m.Name == "jwt" { // its credential is the federated token
			limit = unlimitedLine
		}
		surfaces["get-token "+m.Name] = attackSurface{args, limit}
	}
	return surfaces
}

// wantPlainText checks that the outputs are plain text, without forged errors and secrets.
func (s attackSurface) wantPlainText(t *testing.T, got runResult) {
	t.Helper()
	if problem := textProblem(got.stderr, maxLineLength); problem != "" {
		t.Errorf("stderr: %s in %.600q", problem, got.stderr)
	}
	if problem := textProblem(got.stdout, s.maxLineLength); problem != "" {
		t.Errorf("stdout: %s in %.600q", problem, got.stdout)
	}
	errorLines := strings.Count(got.stderr, "\nakslogin: error: ")
	if strings.Contains(got.stderr, "\nakslogin: error: forged") || errorLines > 1 {
		t.Errorf("an error is forged: %.600q", got.stderr)
	}
	if strings.Contains(got.stderr+got.stdout, hostileSecret) {
		t.Errorf("a secret is printed: %+v", got)
	}
}

// pickKind returns the kind of hostile text for the nth test: plain in turn with the others.
func pickKind(n int, kinds []string) string {
	if n%2 == 0 {
		return "plain"
	}
	return kinds[n/2%len(kinds)]
}

// TestHostileValues checks that hostile text in any flag and any variable that the program reads is
// not printed as it is.
func TestHostileValues(t *testing.T) {
	skipIfShort(t, "thousands of runs")
	kinds := slices.Sorted(maps.Keys(hostileTexts))
	t.Chdir(t.TempDir()) // flags with relative paths may create files
	n := 0
	surfaces := attackSurfaces(t, t.TempDir())
	for _, name := range slices.Sorted(maps.Keys(surfaces)) { // n depends on the order
		s := surfaces[name]
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			check := func(what, kind string, env map[string]string, more ...string) {
				t.Helper()
				got := runInProcess(t, folder, env, slices.Concat(s.args, more)...)
				if s.wantPlainText(t, got); t.Failed() {
					t.Fatalf("%s is %s", what, kind)
				}
			}
			for _, flag := range flagNames(t, s.args[0]) {
				if n++; n%sampleEvery != 0 {
					continue
				}
				kind := pickKind(n/sampleEvery, kinds)
				check("--"+flag, kind, nil, "--"+flag+"="+hostileTexts[kind])
			}
			for _, kind := range kinds {
				// Commands with -v differ in the login method only.
				if n++; n%sampleEvery != 0 || slices.Contains(s.args, "-v") {
					continue
				}
				for _, format := range []string{
					"%s", "--%s", "-%s", "--client-id=" + client + "%s", "--%s=x",
				} {
					check("a word", kind, nil, strings.ReplaceAll(format, "%s", hostileTexts[kind]))
				}
			}
			for _, variable := range readVariables() {
				if n++; n%sampleEvery != 0 {
					continue
				}
				kind := pickKind(n/sampleEvery, kinds)
				check("$"+variable, kind, map[string]string{variable: hostileTexts[kind]})
			}
		})
	}
}

// TestInvisibleCharactersAreNotWritten checks that no kubeconfig gets invisible or control
// characters, in whatever format it is written and however that format escapes them.
func TestInvisibleCharactersAreNotWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	surfaces := attackSurfaces(t, t.TempDir())
	commands := map[string][]string{
		"URI": slices.Concat(surfaces["airflow"].args, []string{"-o", "airflow-uri"}),
	}
	for _, name := range []string{"kubeconfig", "kubeconfig JSON", "airflow"} {
		commands[name] = surfaces[name].args
	}
	// The kubeconfig of the attack surface has no user that can be converted.
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	convertible := strings.NewReplacer(`, "--EVIL"`, "", `--environment, "EVIL"`, "--environment, AzurePublicCloud", "EVIL", "a").Replace(hostileKubeconfig)
	if err := os.WriteFile(kubeconfig, []byte(convertible), 0o600); err != nil {
		t.Fatal(err)
	}
	commands["convert"] = slices.Concat(surfaces["convert"].args, []string{"--kubeconfig", kubeconfig})
	for text, want := range map[string]string{
		"a" + strings.Repeat("\x1b", 64<<10): "U+001B",
		"a\u009bb":                           "U+009B",
		"a\u202eb":                           "U+202E",
		"a\u3164":                            "U+3164",
		"\u2800a":                            "U+2800",
		"a\ufe0f":                            "U+FE0F",
		"a\u00a0b":                           "U+00A0",
		"a\u0301\u0302\u0303\u0304\u0305":    "a stack of combining marks",
		"naïve/e\u0301\u0302/日本語/👍":          "",
	} {
		for name, command := range commands {
			flags := []string{"--federated-token-file"}
			if name != "convert" {
				flags = append(flags, "--name", "--namespace")
			}
			for _, flag := range flags {
				args := slices.Concat(command, []string{flag + "=" + text})
				got := runInProcess(t, t.TempDir(), nil, args...)
				surfaces["get-token"].wantPlainText(t, runResult{stderr: got.stderr})
				refused := got.exit == 2 && got.stdout == "" &&
					strings.Contains(got.stderr, "would have "+want)
				if refused != (want != "") || !refused && got.exit != 0 {
					t.Errorf("%s, %s %.20q: %+v", name, flag, text, got)
				}
			}
		}
	}
}

// flagNames returns the names of a command's flags.
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

// TestOversizedInputDoesNotBlockLogin checks that arguments and variables as large as the kernel
// allows do not prevent a login if the program ignores them, and are reported if it reads them.
func TestOversizedInputDoesNotBlockLogin(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_STACK, &limit); err != nil {
		t.Fatal(err)
	}
	// The kernel allows a quarter of this limit for arguments and environment, and at most 6 MB.
	raised := limit
	raised.Cur = raised.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_STACK, &raised); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_STACK, &limit)
	const maxArg = 128<<10 - 200 // the kernel's limit for one string, and a name
	login := secretLogins(t)["workloadidentity"]
	network := newHostileNetwork(t, serveLikeEntra)
	var env []string
	for i := range 40 {
		value := strings.Repeat("\x1b[31m", maxArg/5)
		env = append(env, fmt.Sprintf("UNREAD_%d=%s", i, value))
	}
	got := runProgram(t, network.env(env...), getTokenArgs(login.args...)...)
	if got.exit != 0 || got.stderr != "" {
		t.Errorf("with 5 MB of unknown variables: status %d, %.500s", got.exit, got.stderr)
	}
	args := getTokenArgs(login.args...)
	for range 7 { // just within the program's own limit
		args = append(args, strings.Repeat("a", maxArg))
	}
	if got := runProgram(t, network.env(), args...); got.exit != 0 || got.stderr != "" {
		t.Errorf("with 900 KB of ignored arguments: status %d, %.500s", got.exit, got.stderr)
	}
	for _, variable := range readVariables() {
		if slices.Contains([]string{"PATH", "HOME", "HTTPS_PROXY", "https_proxy"}, variable) {
			continue
		}
		if len(env) < 75 {
			env = append(env, variable+"="+strings.Repeat("\x1b[31m", 5000))
		}
	}
	got = runProgram(t, network.env(env...), getTokenArgs(login.args...)...)
	got.wantErrorLines(t)
	wantPlainText(t, got)
	if n := network.wantSecretOnlyAt(t, login.secret, microsoftHost); n != 2 {
		t.Errorf("the assertion was sent %d times", n)
	}
}
