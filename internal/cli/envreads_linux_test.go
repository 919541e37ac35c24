package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/token"
)

// readRecorder is added to package syscall. It appends each read of a variable to a file, with the
// function that called envvar.Get, os.Getenv, os.LookupEnv, os.Environ or syscall.Getenv.
const readRecorder = `
func recordRead(name string) {
	i, ok := env["AKSLOGIN_TEST_READS"]
	if !ok {
		return
	}
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	frame, more := frames.Next()
	const get = "github.com/akslogin/akslogin/internal/envvar.Get"
	for more && (frame.Function[:3] == "os." || frame.Function == get) {
		frame, more = frames.Next()
	}
	path := envs[i][len("AKSLOGIN_TEST_READS="):]
	fd, err := Open(path, O_WRONLY|O_APPEND|O_CREAT|O_CLOEXEC, 0o600)
	if err != nil {
		panic(err)
	}
	Write(fd, []byte(name+" "+frame.Function+"\n"))
	Close(fd)
}
`

// recordingProgram builds the program with a package syscall that records which variables are read,
// also by libraries and at initialization.
func recordingProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(goroot)), "src", "syscall", "env_unix.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Skip("Go's sources are not found: ", err)
	}
	for head, name := range map[string]string{
		"func Getenv(key string) (value string, found bool) {\n\tcopyenv()\n": "key",
		"func Environ() []string {\n\tcopyenv()\n":                            `"*"`,
	} {
		if bytes.Count(text, []byte(head)) != 1 {
			t.Fatalf("%s has changed: adapt this test", source)
		}
		text = bytes.Replace(text, []byte(head), []byte(head+"\trecordRead("+name+")\n"), 1)
	}
	replacement := filepath.Join(dir, "env_unix.go")
	if err := os.WriteFile(replacement, append(text, readRecorder...), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: replacement}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "akslogin")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", overlayFile, "-o", program, ".")
	build.Dir = repository
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// recordedRuns are get-token runs that together reach the reads of all login methods.
var recordedRuns = map[string]struct {
	args, env []string
	fails     bool
}{
	"cold":             {},
	"verbose":          {args: []string{"-v=1"}},
	"relative paths":   {args: []string{"--cache-dir", "relative"}},
	"no warm start":    {env: []string{"AKSLOGIN_WARM_START=off"}},
	"log file":         {args: []string{"--client-id", "x"}, env: []string{"AKSLOGIN_LOG_FILE=~/log"}, fails: true},
	"refused":          {args: []string{"--client-id", "22222222-bbbb-4444-8888-00000000dead"}, fails: true},
	"client secret":    {args: []string{"--login", "spn", "--client-secret", secret}},
	"Terraform":        {args: []string{"--use-azurerm-env-vars"}, env: []string{"ARM_CLIENT_ID=" + client}},
	"no proxy":         {args: []string{"--timeout", "2s"}, env: []string{"HTTPS_PROXY=", "GODEBUG=netdns=go"}, fails: true},
	"managed identity": {args: []string{"--login", "msi", "--timeout", "2s"}, fails: true},
	"az":               {args: []string{"--login", "azurecli"}, fails: true},
	"azd":              {args: []string{"--login", "azd"}, fails: true},
	"device code":      {args: []string{"--login", "devicecode"}, fails: true},
	"pipelines":        {args: []string{"--login", "azurepipelines"}, fails: true},
	"password":         {args: []string{"--login", "ropc", "--username", "jane@contoso.example", "--password", secret}, fails: true},
	"second hop":       {args: []string{"--login", "federatedmsi", "--via-client-id", client, "--timeout", "2s"}, fails: true},
	"token itself":     {args: []string{"--login", "jwt"}, fails: true}, // it is for Entra ID
	"browser": {
		args: []string{"--login", "interactive", "--timeout", "2s"},
		env: []string{
			"BROWSER=/bin/false",
			`KUBERNETES_EXEC_INFO={"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":true}}`,
		},
		fails: true,
	},
}

func recordedRunsHave(method string) bool {
	for _, run := range recordedRuns {
		if slices.Contains(run.args, method) {
			return true
		}
	}
	return false
}

// A variable that get-token or one of its libraries reads is either part of a stored answer's
// identity or known to make no difference. The test sees what its runs reach;
// TestVariablesInSourcesCount sees all of this module's code.
func TestReadVariablesCount(t *testing.T) {
	skipIfShort(t, "the program and the standard library are built anew")
	s := entratest.New(t)
	registerFixtures(s)
	program, home := recordingProgram(t), t.TempDir()
	tokenFile, reads := filepath.Join(home, "token"), filepath.Join(home, "reads")
	assertion := s.Assertion(entratest.Claims{Subject: subject})
	if err := os.WriteFile(tokenFile, []byte(assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, run := range recordedRuns {
		cmd := exec.Command(program, "get-token", "--tenant-id", tenant, "--client-id", client,
			"--federated-token-file", tokenFile)
		cmd.Args = append(cmd.Args, run.args...)
		cmd.Dir = home
		cmd.Env = append([]string{
			"HOME=" + home, "AKSLOGIN_CACHE_DIR=" + filepath.Join(home, name),
			"HTTPS_PROXY=" + s.ProxyURL, "SSL_CERT_FILE=" + s.CAFile,
			"AKSLOGIN_TEST_READS=" + reads,
		}, run.env...)
		if out, err := cmd.CombinedOutput(); (err != nil) != run.fails {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	raw, err := os.ReadFile(reads)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range token.Methods {
		if m.Name != token.DefaultPodMethod && !recordedRunsHave(m.Name) {
			t.Errorf("recordedRuns has no run of login %s", m.Name)
		}
	}
	readers := map[string]string{} // by variable
	for line := range strings.Lines(string(raw)) {
		name, function, _ := strings.Cut(strings.TrimSpace(line), " ")
		readers[name] = function
	}
	// The warm start reads the whole environment, and so do programs that are started.
	delete(readers, "*")
	for name, function := range readers {
		if !envvar.InKey(name) && !isException(notInKey, name) {
			t.Errorf("%s reads $%s, which is not listed in internal/envvar", function, name)
		}
	}
	for _, name := range []string{"AAD_LOGIN_METHOD", "BROWSER", "HTTPS_PROXY", "XDG_CACHE_HOME"} {
		if readers[name] == "" {
			t.Errorf("no read of $%s is recorded", name)
		}
	}
	t.Logf("%d variables are read", len(readers))
}
