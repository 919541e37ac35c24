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

// faultTest is a login to which something happens on purpose. The program is the one that is
// shipped.
type faultTest struct {
	t       *testing.T
	entra   *entratest.Server
	program string
	token   string // the federated token's file
}

func newFaultTest(t *testing.T) faultTest {
	f := faultTest{t, entratest.New(t), programPath(t), filepath.Join(t.TempDir(), "token")}
	registerFixtures(f.entra)
	if err := os.WriteFile(f.token, []byte(f.entra.Assertion(entratest.Claims{Subject: subject})), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f faultTest) args() []string {
	return []string{"get-token", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client, "--federated-token-file", f.token}
}

func (f faultTest) env(home string) []string {
	return []string{"HOME=" + home, "HTTPS_PROXY=" + f.entra.ProxyURL, "SSL_CERT_FILE=" + f.entra.CAFile}
}

// checkSuccess tells whether a login came out as it should: one document with a token, and silence.
func (f faultTest) checkSuccess(done exitResult) error {
	if done.status != 0 || done.stderr != "" {
		return fmt.Errorf("status %#x, it says %q", done.status, done.stderr)
	}
	return f.checkCredential(done.stdout)
}

func (f faultTest) checkCredential(stdout string) error {
	var c clientauthentication.ExecCredential
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || c.Status == nil {
		return fmt.Errorf("no document: %q, %v", stdout, err)
	}
	_, err := f.entra.Verify(c.Status.Token, entratest.AKSServerID)
	return err
}

// exitResult is what came of a run.
type exitResult struct {
	status         syscall.WaitStatus
	stdout, stderr string
}

// run runs the program, or another that runs it.
func (f faultTest) run(home string, command ...string) (exitResult, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env(home), &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return exitResult{}, err
	}
	return exitResult{cmd.ProcessState.Sys().(syscall.WaitStatus), stdout.String(), stderr.String()}, nil
}

// command is the command line.
func (f faultTest) command() []string { return append([]string{f.program}, f.args()...) }

// runWithoutFaults runs the login without faults.
func (f faultTest) runWithoutFaults(home string) error {
	done, err := f.run(home, f.command()...)
	if err != nil {
		return err
	}
	return f.checkSuccess(done)
}

// cacheDir is where the cache is.
func cacheDir(home string) string { return filepath.Join(home, ".cache", "akslogin") }

// newHome makes one with these files in its cache; nil: without a cache.
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

// readCacheFiles reads a cache; nil where there is none.
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

// readEntry is the one in a cache; nil: there is none.
func readEntry(home string) ([]byte, error) {
	all, err := readCacheFiles(home)
	for name, content := range all {
		if strings.HasSuffix(name, ".sealed") {
			return content, err
		}
	}
	return nil, err
}

// checkNoSecrets says which file of a cache holds a token as it is.
func (f faultTest) checkNoSecrets(home string) error {
	all, err := readCacheFiles(home)
	for name, content := range all {
		for _, secret := range slices.Concat(f.entra.IssuedTokens(), f.entra.SeenAssertions()) {
			if signature := secret[strings.LastIndexByte(secret, '.')+1:]; bytes.Contains(content, []byte(signature)) {
				return fmt.Errorf("%s holds a secret", name)
			}
		}
	}
	return err
}

// checkSweep has another entry stored when a day has passed, and says what is left of the first one
// then.
func checkSweep(home string) error {
	now := time.Now().Add(26 * time.Hour)
	other, err := cache.Dir{Path: cacheDir(home), Now: func() time.Time { return now }}.Entry([]byte("another secret"))
	if err != nil {
		return err
	}
	if err := other.Put([]byte("data"), "token", now.Add(time.Hour)); err != nil {
		return err
	}
	all, err := readCacheFiles(home)
	if len(all) != 2 || all["akslogin.swept"] == nil {
		return fmt.Errorf("a day later there are %d files: %v", len(all), slices.Collect(maps.Keys(all)))
	}
	return err
}

// staleCache is a cache whose token works for some minutes yet, and is due to be renewed.
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
	maps.DeleteFunc(all, func(name string, _ []byte) bool { return strings.HasSuffix(name, sealed.WarmStartSuffix) }) // good by the clock that was moved
	if err != nil || len(all) != 3 {
		f.t.Fatal(err, slices.Collect(maps.Keys(all)))
	}
	return all
}
