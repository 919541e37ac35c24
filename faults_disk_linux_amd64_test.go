package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/akslogin/akslogin/token"
)

// under runs the login with faults in what it does below a folder.
func (f faulty) under(folder, home string, decide func(call) fault) (traced, error) {
	return tracer{under: folder, decide: decide}.run(f.program, f.args(), f.env(home))
}

// calls are those of a login in a home like this one, but for those that a slow one makes: the holder of a lock touches it again every second.
func (f faulty) calls(folder, home string) []call {
	f.t.Helper()
	done, err := f.under(folder, home, func(call) fault { return fault{} })
	if err == nil {
		err = f.succeeded(done.ending)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	if len(done.calls) < 4 {
		f.t.Fatalf("only %v: is the right folder looked at?", done.calls)
	}
	return slices.DeleteFunc(done.calls, func(c call) bool { return c.name == "utimes" && c.nth > 1 })
}

// each does something for all of a list, so many at once.
func each[T any](t *testing.T, atOnce int, all []T, do func(T) error) {
	t.Helper()
	failed := make([]error, len(all))
	var group sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i, item := range all {
		group.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			failed[i] = do(item)
		})
	}
	group.Wait()
	for i, err := range failed {
		if err != nil {
			t.Errorf("%v: %v", all[i], err)
		}
	}
}

// crime is a run that was killed, and what it found.
type crime struct {
	at     call
	home   string
	before []byte // the entry
}

func (c *crime) String() string { return "killed at " + c.at.String() }

// A login that is killed at any system call on the disk leaves the old entry or the new one, whole. The next finds out which, and waits for nobody.
func TestKilledAtEveryCall(t *testing.T) {
	f := newFaulty(t)
	stale := f.stale()
	lock := ""
	for name := range stale {
		if strings.HasSuffix(name, ".lock") {
			lock = name
		}
	}
	for name, state := range map[string]struct {
		files   map[string][]byte
		stopped bool            // somebody holds the lock and shows no sign of life
		only    map[string]bool // the calls at which it is killed; nil: all
	}{
		"no folder":      {},
		"stale":          {files: stale, only: changing},
		"stopped holder": {files: map[string][]byte{lock: nil}, stopped: true, only: changing},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			var held []*os.File
			home := func() string {
				home, err := f.home(state.files)
				if err != nil {
					t.Fatal(err)
				}
				if state.stopped {
					held = append(held, locked(t, filepath.Join(folder(home), lock)))
				}
				return home
			}
			var crimes []*crime
			first := home()
			for _, c := range f.calls(first, first) {
				if state.only == nil || state.only[c.name] {
					c := &crime{at: c, home: home()}
					c.before, _ = storedEntry(c.home)
					crimes = append(crimes, c)
				}
			}
			atOnce := 2
			if state.stopped {
				atOnce = len(crimes) // they wait for most of the time
			}
			each(t, atOnce, crimes, func(c *crime) error {
				done, err := f.under(c.home, c.home, func(now call) fault { return fault{kill: now == c.at} })
				switch {
				case err != nil:
					return err
				case done.status.Signal() != syscall.SIGKILL:
					return fmt.Errorf("it was not reached: status %#x", done.status)
				case done.stdout != "": // it has printed what it had stored, and was about to keep a memo
					printed := done.ending
					printed.status = 0
					if now, _ := storedEntry(c.home); bytes.Equal(now, c.before) {
						return errors.New("it had printed what it had not stored")
					}
					return errors.Join(f.succeeded(printed), f.secretless(c.home))
				case done.stderr != "":
					return fmt.Errorf("it had already written %q", done.stderr)
				}
				return f.secretless(c.home)
			})
			f.entra.ResetCounters()
			want := 0
			for _, c := range crimes {
				now, err := storedEntry(c.home)
				if err != nil {
					t.Error(err)
				}
				if bytes.Equal(now, c.before) && (now == nil) == (c.before == nil) { // an empty file is no entry
					want++
				}
			}
			if want == 0 || want == len(crimes) && state.only == nil {
				t.Errorf("%d of %d were killed before they had stored the new entry", want, len(crimes))
			}
			each(t, atOnce, crimes, func(c *crime) error { return f.ordinary(c.home) })
			if got := f.entra.TokenRequests(); got != want {
				t.Errorf("the next runs asked %d times, want %d: one for each run that was killed before it had stored the new entry", got, want)
			}
			each(t, atOnce, crimes, func(c *crime) error {
				all, err := files(c.home)
				for name := range all {
					if strings.HasSuffix(name, ".lock2") && !state.stopped {
						err = errors.Join(err, errors.New("somebody lost patience with a dead process"))
					}
				}
				return err
			})
			t.Logf("%d killed, %d of them before the new entry was stored", len(crimes), want)
			for _, lock := range held {
				lock.Close()
			}
			each(t, 1, crimes, func(c *crime) error { return swept(c.home) })
		})
	}
}

// changing are the calls that change something on the disk: being killed between two of them comes to the same.
var changing = map[string]bool{
	"openat": true, "mkdirat": true, "flock": true, "utimes": true, "write": true, "fsync": true, "renameat": true, "utimensat": true, "unlinkat": true,
}

// locked is a lock file as a process holds it that was stopped: it is not touched any more.
func locked(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// errnos are what can come of a call on a disk that is full, ill, not ours, or another machine's.
var errnos = map[string][]syscall.Errno{
	"openat":     {syscall.EACCES, syscall.EDQUOT, syscall.EINTR, syscall.EIO, syscall.EMFILE, syscall.ENOSPC, syscall.EROFS, syscall.ESTALE},
	"newfstatat": {syscall.EACCES, syscall.EIO, syscall.ESTALE},
	"mkdirat":    {syscall.EACCES, syscall.EDQUOT, syscall.ENOSPC, syscall.EROFS},
	"epoll_ctl":  {syscall.ENOMEM, syscall.ENOSPC},
	"flock":      {syscall.EINTR, syscall.EIO, syscall.ENOLCK, syscall.EOPNOTSUPP},
	"fstat":      {syscall.EIO, syscall.ESTALE},
	"utimes":     {syscall.EIO, syscall.EPERM, syscall.EROFS},
	"utimensat":  {syscall.EIO, syscall.EPERM, syscall.EROFS},
	"read":       {syscall.EINTR, syscall.EIO, syscall.ESTALE},
	"getdents64": {syscall.EIO, syscall.ESTALE},
	"write":      {syscall.EDQUOT, syscall.EINTR, syscall.EIO, syscall.ENOSPC},
	"fsync":      {syscall.EDQUOT, syscall.EINTR, syscall.EIO, syscall.ENOSPC},
	"close":      {syscall.EDQUOT, syscall.EINTR, syscall.EIO},
	"renameat":   {syscall.EACCES, syscall.EDQUOT, syscall.EIO, syscall.ENOSPC, syscall.EROFS, syscall.ESTALE},
	"unlinkat":   {syscall.EACCES, syscall.EIO, syscall.EROFS},
}

// accident is a run with calls that fail.
type accident struct {
	at     call
	errno  syscall.Errno
	onward bool // and so does everything after it
}

func (a accident) String() string {
	if a.onward {
		return fmt.Sprintf("%s and all after it: %v", a.at, a.errno)
	}
	return fmt.Sprintf("%s: %v", a.at, a.errno)
}

// decide has the accident happen; reached tells whether it did.
func (a accident) decide(reached *bool) func(call) fault {
	return func(now call) fault {
		if now == a.at {
			*reached = true
		}
		if now == a.at || a.onward && *reached {
			return fault{errno: a.errno}
		}
		return fault{}
	}
}

// accidents are what can happen to these calls: to each an error of its kind, in turn, and from each that changes something the end of the disk.
func accidents(t *testing.T, calls []call) (all []accident) {
	turn := map[string]int{}
	for _, c := range calls {
		can := errnos[c.name]
		if can == nil && c.name != "fcntl" { // which asks for flags, and never the disk
			t.Errorf("%s: it is not known how that can fail", c.name)
		}
		if len(can) > 0 {
			all = append(all, accident{at: c, errno: can[turn[c.name]%len(can)]})
			turn[c.name]++
		}
		if changing[c.name] {
			all = append(all, accident{at: c, errno: syscall.EIO, onward: true})
		}
	}
	return all
}

// A cache on a disk that fails is never the reason of a failure, nor of a word without -v. It leaves no temporary files where it can remove them.
func TestEveryCallFails(t *testing.T) {
	f := newFaulty(t)
	warm, err := f.home(nil)
	if err == nil {
		err = f.ordinary(warm)
	}
	if err != nil {
		t.Fatal(err)
	}
	kept, err := files(warm)
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]map[string][]byte{"no folder": nil, "warm": kept} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			first, err := f.home(state)
			if err != nil {
				t.Fatal(err)
			}
			all := accidents(t, f.calls(first, first))
			each(t, 2, all, func(a accident) error {
				home, err := f.home(state)
				if err != nil {
					return err
				}
				reached := false
				done, err := f.under(home, home, a.decide(&reached))
				if err == nil {
					err = f.succeeded(done.ending)
				}
				if err != nil || !reached {
					return fmt.Errorf("reached: %v, %w", reached, err)
				}
				all, err := files(home)
				for name := range all {
					if strings.HasSuffix(name, ".tmp") && !a.onward {
						return fmt.Errorf("it left %s", name)
					}
				}
				return errors.Join(err, f.secretless(home), f.ordinary(home))
			})
			t.Logf("%d accidents", len(all))
		})
	}
}

// A cache that somebody removes, moves away or replaces in the middle is no trouble either. What can still be stored is.
func TestCacheVanishesAtEveryCall(t *testing.T) {
	f := newFaulty(t)
	first, err := f.home(nil)
	if err != nil {
		t.Fatal(err)
	}
	calls := f.calls(first, first)
	for name, disaster := range map[string]struct {
		strike func(home string) error
		final  bool // nothing can be stored any more
	}{
		"removed":      {strike: func(home string) error { return os.RemoveAll(folder(home)) }},
		"home removed": {strike: os.RemoveAll},
		"a file in its way": {strike: func(home string) error {
			return errors.Join(os.RemoveAll(folder(home)), os.MkdirAll(filepath.Dir(folder(home)), 0o700), os.WriteFile(folder(home), nil, 0o600))
		}, final: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			storable := true
			var points []call
			stored := map[call]bool{} // what is expected of each
			for _, c := range calls {
				if changing[c.name] && strings.Contains(c.path, "akslogin/") {
					points = append(points, c)
					stored[c] = storable && !disaster.final
				}
				storable = storable && c.name != "renameat"
			}
			if storable || len(points) < 10 {
				t.Fatalf("an entry is stored otherwise by now: %v", calls)
			}
			each(t, 2, points, func(at call) error {
				home, err := f.home(nil)
				if err != nil {
					return err
				}
				struck := errors.New("it was not reached")
				done, err := f.under(home, home, func(now call) fault {
					if now == at {
						struck = disaster.strike(home)
					}
					return fault{}
				})
				if err = errors.Join(err, struck); err == nil {
					err = f.succeeded(done.ending)
				}
				if err != nil {
					return err
				}
				if disaster.final {
					return f.ordinary(home)
				}
				now, err := storedEntry(home)
				if got := now != nil; err != nil || got != stored[at] {
					return fmt.Errorf("stored: %v, want %v, %w", got, stored[at], err)
				}
				return f.ordinary(home)
			})
		})
	}
}

// A federated token that cannot be read is told with its file and the reason, and with a hint that does not blame the token. What can be
// tried again at once is.
func TestEveryCallOnTheFederatedTokenFails(t *testing.T) {
	f := newFaulty(t)
	home, err := f.home(nil)
	if err != nil {
		t.Fatal(err)
	}
	under := filepath.Dir(f.token)
	calls := f.calls(under, home)
	all := accidents(t, calls)
	printed := slices.IndexFunc(calls, func(c call) bool { return c.name == "newfstatat" && c.nth == 3 }) // once for a memo, once for the login, and then to keep one
	if printed < 0 {
		t.Fatalf("it is read otherwise by now: %v", calls)
	}
	harmless := map[string]bool{"epoll_ctl": true, "close": true}
	each(t, 2, all, func(a accident) error {
		home, err := f.home(nil)
		if err != nil {
			return err
		}
		reached := false
		done, err := f.under(under, home, a.decide(&reached))
		switch {
		case err != nil || !reached:
			return fmt.Errorf("reached: %v, %w", reached, err)
		case a.errno == syscall.EINTR, harmless[a.at.name] && !a.onward:
			return f.succeeded(done.ending)
		case done.status == 0 && (!a.onward || a.at.name == "close" || slices.Contains(calls[printed:], a.at)): // what fails for a memo is tried again by the login
			return f.succeeded(done.ending)
		}
		lines := strings.Split(strings.TrimSuffix(done.stderr, "\n"), "\n")
		want := fmt.Sprintf("akslogin: error: read the federated token in %q (--federated-token-file): %v", f.token, a.errno)
		if done.status.ExitStatus() != token.LoginFailed || done.stdout != "" || lines[0] != want || len(lines) != 2 || !strings.HasPrefix(lines[1], "akslogin: hint: ") {
			return fmt.Errorf("status %#x, %q, %q; want %q and a hint", done.status, done.stdout, done.stderr, want)
		}
		if blames := strings.Contains(lines[1], "it has to hold the token"); blames {
			return fmt.Errorf("%q says nothing about the disk", lines[1])
		}
		return nil
	})
	t.Logf("%d accidents", len(all))
}
