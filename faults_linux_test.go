package main

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

	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/cache/sealed"
	"github.com/akslogin/akslogin/internal/entratest"
)

// faulty is a login to which something happens on purpose. The program is the one that is shipped.
type faulty struct {
	t       *testing.T
	entra   *entratest.Server
	program string
	token   string // the federated token's file
}

func newFaulty(t *testing.T) faulty {
	f := faulty{t, entratest.New(t), binary(t), filepath.Join(t.TempDir(), "token")}
	populate(f.entra)
	if err := os.WriteFile(f.token, []byte(f.entra.Assertion(entratest.Claims{Subject: subject})), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f faulty) args() []string {
	return []string{"get-token", "--login", "workloadidentity", "--tenant-id", tenant, "--client-id", client, "--federated-token-file", f.token}
}

func (f faulty) env(home string) []string {
	return []string{"HOME=" + home, "HTTPS_PROXY=" + f.entra.ProxyURL, "SSL_CERT_FILE=" + f.entra.CAFile}
}

// succeeded tells whether a login came out as it should: one document with a token, and silence.
func (f faulty) succeeded(done ending) error {
	if done.status != 0 || done.stderr != "" {
		return fmt.Errorf("status %#x, it says %q", done.status, done.stderr)
	}
	return f.document(done.stdout)
}

func (f faulty) document(stdout string) error {
	var c clientauthentication.ExecCredential
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || c.Status == nil {
		return fmt.Errorf("no document: %q, %v", stdout, err)
	}
	_, err := f.entra.Verify(c.Status.Token, entratest.AKSServerID)
	return err
}

// ending is what came of a run.
type ending struct {
	status         syscall.WaitStatus
	stdout, stderr string
}

// run runs the program, or another that runs it.
func (f faulty) run(home string, command ...string) (ending, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env(home), &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return ending{}, err
	}
	return ending{cmd.ProcessState.Sys().(syscall.WaitStatus), stdout.String(), stderr.String()}, nil
}

// login is the command line.
func (f faulty) login() []string { return append([]string{f.program}, f.args()...) }

// ordinary runs the login without faults.
func (f faulty) ordinary(home string) error {
	done, err := f.run(home, f.login()...)
	if err != nil {
		return err
	}
	return f.succeeded(done)
}

// folder is where the cache is.
func folder(home string) string { return filepath.Join(home, ".cache", "akslogin") }

// home makes one with these files in its cache; nil: without a cache.
func (f faulty) home(files map[string][]byte) (string, error) {
	home, err := os.MkdirTemp(f.t.TempDir(), "home")
	if err == nil && files != nil {
		err = os.MkdirAll(folder(home), 0o700)
	}
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder(home), name), content, 0o600))
	}
	return home, err
}

// files reads a cache; nil where there is none.
func files(home string) (map[string][]byte, error) {
	list, err := os.ReadDir(folder(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	content := map[string][]byte{}
	for _, file := range list {
		raw, readErr := os.ReadFile(filepath.Join(folder(home), file.Name()))
		content[file.Name()], err = raw, errors.Join(err, readErr)
	}
	return content, err
}

// storedEntry is the one in a cache; nil: there is none.
func storedEntry(home string) ([]byte, error) {
	all, err := files(home)
	for name, content := range all {
		if strings.HasSuffix(name, ".sealed") {
			return content, err
		}
	}
	return nil, err
}

// secretless says which file of a cache holds a token as it is.
func (f faulty) secretless(home string) error {
	all, err := files(home)
	for name, content := range all {
		for _, secret := range slices.Concat(f.entra.IssuedTokens(), f.entra.SeenAssertions()) {
			if signature := secret[strings.LastIndexByte(secret, '.')+1:]; bytes.Contains(content, []byte(signature)) {
				return fmt.Errorf("%s holds a secret", name)
			}
		}
	}
	return err
}

// swept has another entry stored when a day has passed, and says what is left of the first one then.
func swept(home string) error {
	now := time.Now().Add(26 * time.Hour)
	other, err := cache.Dir{Path: folder(home), Now: func() time.Time { return now }}.Entry([]byte("another secret"))
	if err != nil {
		return err
	}
	if err := other.Put([]byte("data"), "token", now.Add(time.Hour)); err != nil {
		return err
	}
	all, err := files(home)
	if len(all) != 2 || all["akslogin.swept"] == nil {
		return fmt.Errorf("a day later there are %d files: %v", len(all), slices.Collect(maps.Keys(all)))
	}
	return err
}

// stale is a cache whose token works for some minutes yet, and is due to be renewed.
func (f faulty) stale() map[string][]byte {
	f.t.Helper()
	home, err := f.home(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command("akslogin", f.args()...) // the test binary, whose clock can be moved
	cmd.Env = append(f.env(home), "AKSLOGIN_LATER=-51m")
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatal(err, string(out))
	}
	all, err := files(home)
	maps.DeleteFunc(all, func(name string, _ []byte) bool { return strings.HasSuffix(name, sealed.MemoSuffix) }) // good by the clock that was moved
	if err != nil || len(all) != 3 {
		f.t.Fatal(err, slices.Collect(maps.Keys(all)))
	}
	return all
}
