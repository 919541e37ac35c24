//go:build unix

package warmstart

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Who finds no memo takes the turn to make it, and the others wait for him; what they do not get
// from him they do themselves.
func TestWaitersGetTheWritersAnswer(t *testing.T) {
	args, _ := withTokenFile(t, nil, nil)
	first, second, third := newRun(args, nil), newRun(args, nil), newRun(args, nil)
	if answer := first.waitForWriter(time.Hour); answer != nil || first.lock == nil || !first.waitingSince.IsZero() {
		t.Fatalf("the first: %q, turn %v", answer, first.lock)
	}
	if answer := second.waitForWriter(time.Millisecond); answer != nil || second.lock != nil || second.waitingSince.IsZero() {
		t.Fatalf("without patience: %q, turn %v, waits since %s", answer, second.lock, second.waitingSince)
	}
	waits := func(m *Run) (answered chan []byte) {
		answered = make(chan []byte)
		go func() { answered <- m.waitForWriter(time.Hour) }()
		return answered
	}
	answered := waits(third)
	if err := storeContent(first, encodeAnswer(time.Now(), "printed")); err != nil {
		t.Fatal(err)
	}
	first.ReleaseWaiters()
	if answer := <-answered; string(answer) != "printed" || third.lock != nil {
		t.Errorf("who waited: %q, turn %v", answer, third.lock)
	}
	if left, err := filepath.Glob(filepath.Join(first.dir, "*.lock")); err != nil || len(left) > 0 {
		t.Errorf("left is %q, %v", left, err)
	}

	// The first one fails: who waited goes on, and nobody waits for him.
	args, _ = withTokenFile(t, nil, nil)
	first, second, third = newRun(args, nil), newRun(args, nil), newRun(args, nil)
	first.waitForWriter(time.Hour)
	answered = waits(second)
	first.lock.Close()
	if answer := <-answered; answer != nil {
		t.Errorf("nobody answers: %q", answer)
	}
	if second.lock != nil { // it came after the first had ended
		second.lock.Close()
	}
	if third.waitForWriter(time.Hour); third.lock == nil {
		t.Error("nobody is at it, and the third does not take its turn")
	}
}

// Where there can be no lock, nobody waits, and nothing is made or touched.
func TestUnusableLockMeansNoWaiting(t *testing.T) {
	args, _ := withTokenFile(t, nil, nil)
	m := newRun(args, nil)
	lock := filepath.Join(m.dir, m.box.Name+".lock")
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, lay := range map[string]func() error{
		"link":      func() error { return os.Symlink(other, lock) },
		"hard link": func() error { return os.Link(other, lock) },
		"pipe":      func() error { return syscall.Mkfifo(lock, 0o600) },
		"folder":    func() error { return os.Mkdir(lock, 0o700) },
	} {
		if err := lay(); err != nil {
			t.Fatal(err)
		}
		if answer := m.waitForWriter(time.Hour); answer != nil || m.lock != nil {
			t.Errorf("%s: %q, turn %v", name, answer, m.lock)
		}
		if err := os.Remove(lock); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if raw, err := os.ReadFile(other); err != nil || string(raw) != "other" {
		t.Errorf("%q, %v", raw, err)
	}
	m.dir = filepath.Join(m.dir, "none")
	if answer := m.waitForWriter(time.Hour); answer != nil || m.lock != nil {
		t.Errorf("no folder: %q, turn %v", answer, m.lock)
	}
	if _, err := os.Stat(m.dir); err == nil {
		t.Error("a folder was made")
	}
}

func TestWorthWaiting(t *testing.T) {
	for line, want := range map[string]bool{
		"": true, "--login workloadidentity": true, "-l workloadidentity --tenant-id x": true, "--login spn": false, "-l=azurecli": false, "-v 5": false, "-v5": false, "--v=1": false,
		"--pop-enabled": false, "--pop-enabled=true": false, "--client-id vvv": true,
	} {
		if got := worthWaiting(strings.Fields(line), ""); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
	if worthWaiting(nil, "spn") || !worthWaiting([]string{"--login", "spn"}, "workloadidentity") { // the variable wins
		t.Error("$AAD_LOGIN_METHOD does not count")
	}
}
