package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/cache/sealed"
	"github.com/akslogin/akslogin/internal/entratest"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
)

// faultTest runs the program, as it is shipped, under injected faults.
type faultTest struct {
	t       *testing.T
	entra   *entratest.Server
	program string // path
	token   string // path of the federated token
}

func newFaultTest(t *testing.T) faultTest {
	f := faultTest{t, entratest.New(t), programPath(t), filepath.Join(t.TempDir(), "token")}
	registerFixtures(f.entra)
	assertion := f.entra.Assertion(entratest.Claims{Subject: subject})
	if err := os.WriteFile(f.token, []byte(assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f faultTest) args() []string {
	return []string{
		"get-token", "--login", "workloadidentity",
		"--tenant-id", tenant, "--client-id", client, "--federated-token-file", f.token,
	}
}

func (f faultTest) env(home string) []string {
	return []string{
		"HOME=" + home, "TMPDIR=" + filepath.Join(home, "tmp"), "HTTPS_PROXY=" + f.entra.ProxyURL, "SSL_CERT_FILE=" + f.entra.CAFile,
	}
}

// checkSuccess checks that a login printed one credential and nothing on standard error.
func (f faultTest) checkSuccess(result exitResult) error {
	if result.status != 0 || result.stderr != "" {
		return fmt.Errorf("status %#x, stderr %q", result.status, result.stderr)
	}
	return f.checkCredential(result.stdout)
}

func (f faultTest) checkCredential(stdout string) error {
	var c clientauthentication.ExecCredential
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || c.Status == nil {
		return fmt.Errorf("no credential: %q, %v", stdout, err)
	}
	_, err := f.entra.Verify(c.Status.Token, entratest.AKSServerID)
	return err
}

// exitResult is the result of a run.
type exitResult struct {
	status         syscall.WaitStatus
	stdout, stderr string
}

// run runs a command, which is the program or a wrapper around it.
func (f faultTest) run(home string, command ...string) (exitResult, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env(home), &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return exitResult{}, err
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return exitResult{status, stdout.String(), stderr.String()}, nil
}

// command returns the command line of a login.
func (f faultTest) command() []string { return append([]string{f.program}, f.args()...) }

// runWithoutFaults runs the login without faults.
func (f faultTest) runWithoutFaults(home string) error {
	result, err := f.run(home, f.command()...)
	if err != nil {
		return err
	}
	return f.checkSuccess(result)
}

// cacheDir returns the cache folder below a home.
func cacheDir(home string) string { return filepath.Join(home, ".cache", "akslogin") }

// newHome creates a home with these files in its cache folder, without a cache folder if files is
// nil.
func (f faultTest) newHome(files map[string][]byte) (string, error) {
	home, err := os.MkdirTemp(f.t.TempDir(), "home")
	if err == nil && files != nil {
		err = os.MkdirAll(cacheDir(home), 0o700)
	}
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(cacheDir(home), name), content, 0o600))
	}
	return home, err
}

// readCacheFiles returns the files in a cache folder by name, nil if there is no cache folder.
func readCacheFiles(home string) (map[string][]byte, error) {
	list, err := os.ReadDir(cacheDir(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	content := map[string][]byte{}
	for _, file := range list {
		raw, readErr := os.ReadFile(filepath.Join(cacheDir(home), file.Name()))
		content[file.Name()], err = raw, errors.Join(err, readErr)
	}
	return content, err
}

// readEntry returns the content of the cache entry, nil if there is none.
func readEntry(home string) ([]byte, error) {
	all, err := readCacheFiles(home)
	for name, content := range all {
		if strings.HasSuffix(name, ".sealed") {
			return content, err
		}
	}
	return nil, err
}

// checkNoSecrets checks that no file of a cache holds a token in plain text.
func (f faultTest) checkNoSecrets(home string) error {
	all, err := readCacheFiles(home)
	for name, content := range all {
		for _, secret := range slices.Concat(f.entra.IssuedTokens(), f.entra.SeenAssertions()) {
			signature := secret[strings.LastIndexByte(secret, '.')+1:]
			if bytes.Contains(content, []byte(signature)) {
				return fmt.Errorf("%s holds a secret", name)
			}
		}
	}
	return err
}

// checkSweep stores another entry a day later, and checks that no file of the first one remains.
func checkSweep(home string) error {
	now := time.Now().Add(26 * time.Hour)
	dir := cache.Dir{Path: cacheDir(home), Now: func() time.Time { return now }}
	other, err := dir.Entry([]byte("another secret"))
	if err != nil {
		return err
	}
	if err := other.Put([]byte("data"), "token", now.Add(time.Hour)); err != nil {
		return err
	}
	all, err := readCacheFiles(home)
	if len(all) != 2 || all["akslogin.swept"] == nil {
		return fmt.Errorf("a day later %d files remain: %v",
			len(all), slices.Collect(maps.Keys(all)))
	}
	return err
}

// staleCache returns the files of a cache whose token is valid for some more minutes but needs a
// refresh.
func (f faultTest) staleCache() map[string][]byte {
	f.t.Helper()
	home, err := f.newHome(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command("akslogin", f.args()...) // the test binary, whose clock can be moved
	cmd.Env = append(f.env(home), "AKSLOGIN_LATER=-51m")
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatal(err, string(out))
	}
	all, err := readCacheFiles(home)
	maps.DeleteFunc(all, func(name string, _ []byte) bool {
		return strings.HasSuffix(name, sealed.WarmStartSuffix) // it depends on the moved clock
	})
	if err != nil || len(all) != 3 {
		f.t.Fatal(err, slices.Collect(maps.Keys(all)))
	}
	return all
}
