//go:build unix

package warmstart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The first run that finds no answer becomes the writer, and the others wait for it.
func TestWaitersGetTheWritersAnswer(t *testing.T) {
	args, _ := withTokenFile(t, nil, nil)
	writer, impatient, waiter := newRun(args, nil), newRun(args, nil), newRun(args, nil)
	answer := writer.waitForWriter(time.Hour)
	if answer != nil || writer.lock == nil || !writer.waitingSince.IsZero() {
		t.Fatalf("the writer: %q, lock %v", answer, writer.lock)
	}
	answer = impatient.waitForWriter(time.Millisecond)
	if answer != nil || impatient.lock != nil || impatient.waitingSince.IsZero() {
		t.Fatalf("after the timeout: %q, lock %v, waits since %s",
			answer, impatient.lock, impatient.waitingSince)
	}
	answers := waitInBackground(waiter)
	if err := storeContent(writer, encodeAnswer(time.Now(), "printed")); err != nil {
		t.Fatal(err)
	}
	writer.ReleaseWaiters()
	if answer := <-answers; string(answer) != "printed" || waiter.lock != nil {
		t.Errorf("the waiter: %q, lock %v", answer, waiter.lock)
	}
	left, err := filepath.Glob(filepath.Join(writer.dir, "*.lock"))
	if err != nil || len(left) > 0 {
		t.Errorf("left is %q, %v", left, err)
	}
}

// If the writer dies without an answer, waiters go on without one, and nobody waits for them.
func TestWaitersSurviveTheWritersEnd(t *testing.T) {
	args, _ := withTokenFile(t, nil, nil)
	writer, waiter, later := newRun(args, nil), newRun(args, nil), newRun(args, nil)
	writer.waitForWriter(time.Hour)
	answers := waitInBackground(waiter)
	writer.lock.Close()
	if answer := <-answers; answer != nil {
		t.Errorf("an answer that nobody stored: %q", answer)
	}
	if waiter.lock != nil { // it started after the writer had ended
		waiter.lock.Close()
	}
	if later.waitForWriter(time.Hour); later.lock == nil {
		t.Error("there is no writer, and the next run does not become it")
	}
}

func waitInBackground(r *Run) <-chan []byte {
	answers := make(chan []byte)
	go func() { answers <- r.waitForWriter(time.Hour) }()
	return answers
}

// If no lock is possible, no run waits, and no file is created or changed.
func TestUnusableLockMeansNoWaiting(t *testing.T) {
	args, _ := withTokenFile(t, nil, nil)
	r := newRun(args, nil)
	lock := filepath.Join(r.dir, r.box.Name+".lock")
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func() error{
		"link":      func() error { return os.Symlink(other, lock) },
		"hard link": func() error { return os.Link(other, lock) },
		"pipe":      func() error { return unix.Mkfifo(lock, 0o600) },
		"directory": func() error { return os.Mkdir(lock, 0o700) },
	} {
		if err := plant(); err != nil {
			t.Fatal(err)
		}
		if answer := r.waitForWriter(time.Hour); answer != nil || r.lock != nil {
			t.Errorf("%s: %q, lock %v", name, answer, r.lock)
		}
		if err := os.Remove(lock); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if raw, err := os.ReadFile(other); err != nil || string(raw) != "other" {
		t.Errorf("%q, %v", raw, err)
	}
	r.dir = filepath.Join(r.dir, "none")
	if answer := r.waitForWriter(time.Hour); answer != nil || r.lock != nil {
		t.Errorf("no directory: %q, lock %v", answer, r.lock)
	}
	if _, err := os.Stat(r.dir); err == nil {
		t.Error("the directory was made")
	}
}

func TestWorthWaiting(t *testing.T) {
	for line, want := range map[string]bool{
		"": true, "--login workloadidentity": true, "-l workloadidentity --tenant-id x": true, "--client-id vvv": true,
		"--login spn": false, "-l=azurecli": false, "-v 5": false, "-v5": false, "--v=1": false, "--pop-enabled": false, "--pop-enabled=true": false,
	} {
		if got := worthWaiting(strings.Fields(line), "", ""); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
	if worthWaiting(nil, "spn", "") ||
		!worthWaiting([]string{"--login", "spn"}, "workloadidentity", "") {
		t.Error("$AAD_LOGIN_METHOD does not override the flag")
	}
	if worthWaiting(nil, "", "true") {
		t.Error("a proof of possession is not stored, whoever asks for it")
	}
}
