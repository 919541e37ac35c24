package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/akslogin/akslogin/internal/entratest"
)

// What the scripts of the login methods need beside the emulator: certificates, and verbs for the fakes.

// The certificate that client may use, with its key, as files: PEM, and PFX in the encryption of OpenSSL before version 3 and since. It is
// for tests only. How it was made stands in the folder.
const (
	certificateFolder   = "testdata/certificate"
	certificatePassword = "pfx-password-in-tests"
)

// appCertificates are those that the applications may sign with.
var appCertificates = sync.OnceValue(func() map[string][]*x509.Certificate {
	raw, err := os.ReadFile(filepath.Join(certificateFolder, "client.pem"))
	if err != nil {
		panic(err)
	}
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				panic(err)
			}
			return map[string][]*x509.Certificate{client: {certificate}}
		}
	}
	panic("no certificate in " + certificateFolder)
})

// unknownCertificate is one that no application may sign with.
var unknownCertificate = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "unknown"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
})

// writeCertificates puts $CERT, $PFX, $MODERN_PFX and $UNKNOWN_CERT into a script's folder.
func writeCertificates(env *testscript.Env) error {
	files := map[string][]byte{"UNKNOWN_CERT": unknownCertificate()}
	for variable, name := range map[string]string{"CERT": "client.pem", "PFX": "client.pfx", "MODERN_PFX": "client-aes256.pfx"} {
		content, err := os.ReadFile(filepath.Join(certificateFolder, name))
		if err != nil {
			return err
		}
		files[variable] = content
	}
	folder := filepath.Join(env.WorkDir, "certificates")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for variable, content := range files {
		path := filepath.Join(folder, strings.ToLower(variable))
		env.Setenv(variable, path)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	env.Setenv("PFX_PASSWORD", certificatePassword)
	return nil
}

// userFrom reads a person: NAME [tenant=ID] [password=WORD] [mfa=true] [refusal=AADSTS-code].
func userFrom(ts *testscript.TestScript, args []string) entratest.User {
	u := entratest.User{Tenant: tenant, Name: args[0], Password: password}
	pairs(ts, args[1:], map[string]func(string){
		"tenant":   func(v string) { u.Tenant = v },
		"password": func(v string) { u.Password = v },
		"mfa":      func(v string) { u.MFA = v == "true" },
		"refusal":  func(v string) { u.Refusal = number(ts, v) },
	})
	return u
}

// whose checks which person a kept credential is of: whose NAME USER.
func whose(ts *testscript.TestScript, neg bool, args []string) {
	var claims struct{ UPN string }
	payload := strings.Split(ts.Getenv("credential_"+args[0])+"..", ".")[1]
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	ts.Check(err)
	ts.Check(json.Unmarshal(raw, &claims))
	if (claims.UPN == args[1]) == neg {
		ts.Fatalf("it is %s's", claims.UPN)
	}
}

// deviceCode waits for the user code that somebody is asked to enter.
func deviceCode(ts *testscript.TestScript, s *entratest.Server) string {
	code, ok := s.WaitDeviceCode(time.Minute)
	if !ok {
		ts.Fatalf("no device code was asked for")
	}
	return code
}

// volatile are the parameters whose values differ from run to run, or are secret.
var volatile = regexp.MustCompile(`^(client_assertion|client_secret|password|refresh_token|device_code|code|code_verifier|code_challenge|state|nonce|req_cnf|client-request-id)$`)

var loopbackPort = regexp.MustCompile(`(localhost|127\.0\.0\.1):\d+`)

// sentForms are the requests to Entra's endpoints, one a line with their parameters in order, so that two programs can be compared.
func sentForms(s *entratest.Server) string {
	var b strings.Builder
	for _, r := range s.Sent() {
		fmt.Fprintf(&b, "%s %s %s", r.Endpoint, loopbackPort.ReplaceAllString(r.Host, "$1:PORT"), r.Tenant)
		for _, name := range slices.Sorted(maps.Keys(r.Form)) {
			value := strings.Join(r.Form[name], ",")
			if volatile.MatchString(name) {
				value = "…"
			}
			fmt.Fprintf(&b, " %s=%s", name, loopbackPort.ReplaceAllString(value, "$1:PORT"))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// runsOfFakes looks after the runs of az and azd, as they wrote them down in $FAKE_LOG: fake runs N says how many there were, fake await N
// waits for so many, fake alive N waits until so many are left, children included, and fake reset begins anew.
func runsOfFakes(ts *testscript.TestScript, neg bool, args []string) {
	file := ts.Getenv("FAKE_LOG")
	if args[0] == "reset" {
		ts.Check(os.RemoveAll(file))
		return
	}
	count := map[string]func() int{
		"runs":  func() int { return len(fakeRuns(file, false)) },
		"await": func() int { return len(fakeRuns(file, false)) },
		"alive": func() int {
			return len(slices.DeleteFunc(fakeRuns(file, true), func(pid int) bool { return !alive(pid, ts.Getenv("WORK")) }))
		},
	}[args[0]]
	want := number(ts, args[1])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got := count()
		switch {
		case got == want, args[0] == "await" && got > want:
			return
		case args[0] == "runs" || time.Now().After(deadline):
			raw, _ := os.ReadFile(file)
			ts.Fatalf("%s: %d, wanted %d\n%s", args[0], got, want, raw)
		}
	}
}

// fakeRuns are the process IDs in a log, those of children too if asked for.
func fakeRuns(file string, children bool) (pids []int) {
	raw, _ := os.ReadFile(file) // none: no run
	for line := range strings.Lines(string(raw)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, " ")+1:]))
		if err == nil && (children || !strings.HasPrefix(line, "child of ")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// alive says that a process runs, and is one of the script in that folder.
func alive(pid int, work string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains(string(environ), "WORK="+work+"\x00")
}

// endFakes kills what a script's fakes have left.
func endFakes(work string) {
	for _, pid := range fakeRuns(filepath.Join(work, "fake.log"), true) {
		if alive(pid, work) {
			syscall.Kill(pid, syscall.SIGKILL) // fails only when it has ended meanwhile
		}
	}
}

// installPrograms makes a PATH that holds the programs of these names alone, and the system's: installed akslogin az.
func installPrograms(ts *testscript.TestScript, neg bool, args []string) {
	folder := ts.MkAbs("installed")
	ts.Check(os.RemoveAll(folder))
	ts.Check(os.Mkdir(folder, 0o700))
	executable, err := os.Executable()
	ts.Check(err)
	for _, name := range args {
		ts.Check(os.Symlink(executable, filepath.Join(folder, name)))
	}
	ts.Setenv("PATH", folder+":/usr/bin:/bin")
}

// setFreePort puts a port of this machine on which nobody listens into a variable: free-port PORT.
func setFreePort(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], strconv.Itoa(freePort(func(all ...any) { ts.Fatalf("%v", all) })))
}

// freePort is a port of this machine that nobody listens at.
func freePort(fatal func(...any)) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// atOnce runs a command as many times at once as is asked for, and prints what each wrote, one after the other: at-once 100 akslogin ...
// It fails if one of them does. They have more patience than elsewhere: how long a hundred take says how busy the machine is.
func atOnce() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	type output struct{ stdout, stderr bytes.Buffer }
	runs, failed := make([]output, n), make([]error, n)
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() {
			cmd := exec.Command(os.Args[2], os.Args[3:]...)
			cmd.Env = append(os.Environ(), "PATIENCE=5m", "QUEUE=10m", "AZURE_CLI_TIMEOUT=30m")
			cmd.Stdout, cmd.Stderr = &runs[i].stdout, &runs[i].stderr
			failed[i] = cmd.Run()
		})
	}
	all.Wait()
	for i := range runs {
		os.Stdout.Write(runs[i].stdout.Bytes())
		os.Stderr.Write(runs[i].stderr.Bytes())
	}
	if slices.ContainsFunc(failed, func(err error) bool { return err != nil }) {
		os.Exit(1)
	}
}
