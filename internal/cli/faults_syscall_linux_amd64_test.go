package cli

import (
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

// runTraced runs the login with faults in what it does below a folder.
func (f faultTest) runTraced(folder, home string, decide func(call) fault) (tracedRun, error) {
	return tracer{under: folder, decide: decide}.run(f.program, f.args(), f.env(home))
}

// traceCalls are those of a login in a home like this one, but for those that a slow one makes: the
// holder of a lock touches it again every second.
func (f faultTest) traceCalls(folder, home string) []call {
	f.t.Helper()
	done, err := f.runTraced(folder, home, func(call) fault { return fault{} })
	if err == nil {
		err = f.checkSuccess(done.exitResult)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	if len(done.calls) < 4 {
		f.t.Fatalf("only %v: is the right folder looked at?", done.calls)
	}
	return slices.DeleteFunc(done.calls, func(c call) bool { return c.name == "utimes" && c.nth > 1 })
}

// forEach does something for all of a list, so many at once.
func forEach[T any](t *testing.T, atOnce int, all []T, do func(T) error) {
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

// modifyingCalls are the calls that change something on the disk: being killed between two of them
// comes to the same.
var modifyingCalls = map[string]bool{
	"openat": true, "mkdirat": true, "flock": true, "utimes": true, "write": true, "fsync": true, "renameat": true, "utimensat": true, "unlinkat": true,
}

// possibleErrnos are what can come of a call on a disk that is full, ill, not ours, or another
// machine's.
var possibleErrnos = map[string][]syscall.Errno{
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

// callFailure is a run with calls that fail.
type callFailure struct {
	at          call
	errno       syscall.Errno
	andAllAfter bool // and so does everything after it
}

func (a callFailure) String() string {
	if a.andAllAfter {
		return fmt.Sprintf("%s and all after it: %v", a.at, a.errno)
	}
	return fmt.Sprintf("%s: %v", a.at, a.errno)
}

// decide has the accident happen; reached tells whether it did.
func (a callFailure) decide(reached *bool) func(call) fault {
	return func(now call) fault {
		if now == a.at {
			*reached = true
		}
		if now == a.at || a.andAllAfter && *reached {
			return fault{errno: a.errno}
		}
		return fault{}
	}
}

// callFailures are what can happen to these calls: to each an error of its kind, in turn, and from
// each that changes something the end of the disk.
func callFailures(t *testing.T, calls []call) (all []callFailure) {
	turn := map[string]int{}
	for _, c := range calls {
		can := possibleErrnos[c.name]
		if can == nil && c.name != "fcntl" { // which asks for flags, and never the disk
			t.Errorf("%s: it is not known how that can fail", c.name)
		}
		if len(can) > 0 {
			all = append(all, callFailure{at: c, errno: can[turn[c.name]%len(can)]})
			turn[c.name]++
		}
		if modifyingCalls[c.name] {
			all = append(all, callFailure{at: c, errno: syscall.EIO, andAllAfter: true})
		}
	}
	return all
}

// A cache on a disk that fails is never the reason of a failure, nor of a word without -v. It
// leaves no temporary files where it can remove them.
func TestEveryDiskCallFails(t *testing.T) {
	f := newFaultTest(t)
	warm, err := f.newHome(nil)
	if err == nil {
		err = f.runWithoutFaults(warm)
	}
	if err != nil {
		t.Fatal(err)
	}
	kept, err := readCacheFiles(warm)
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]map[string][]byte{"no folder": nil, "warm": kept} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			first, err := f.newHome(state)
			if err != nil {
				t.Fatal(err)
			}
			all := callFailures(t, f.traceCalls(first, first))
			forEach(t, 2, all, func(a callFailure) error {
				home, err := f.newHome(state)
				if err != nil {
					return err
				}
				reached := false
				done, err := f.runTraced(home, home, a.decide(&reached))
				if err == nil {
					err = f.checkSuccess(done.exitResult)
				}
				if err != nil || !reached {
					return fmt.Errorf("reached: %v, %w", reached, err)
				}
				all, err := readCacheFiles(home)
				for name := range all {
					if strings.HasSuffix(name, ".tmp") && !a.andAllAfter {
						return fmt.Errorf("it left %s", name)
					}
				}
				return errors.Join(err, f.checkNoSecrets(home), f.runWithoutFaults(home))
			})
			t.Logf("%d accidents", len(all))
		})
	}
}

// A cache that somebody removes, moves away or replaces in the middle is no trouble either. What
// can still be stored is.
func TestCacheRemovedAtEverySystemCall(t *testing.T) {
	f := newFaultTest(t)
	first, err := f.newHome(nil)
	if err != nil {
		t.Fatal(err)
	}
	calls := f.traceCalls(first, first)
	for name, disaster := range map[string]struct {
		strike func(home string) error
		final  bool // nothing can be stored any more
	}{
		"removed":      {strike: func(home string) error { return os.RemoveAll(cacheDir(home)) }},
		"home removed": {strike: os.RemoveAll},
		"a file in its way": {strike: func(home string) error {
			return errors.Join(os.RemoveAll(cacheDir(home)), os.MkdirAll(filepath.Dir(cacheDir(home)), 0o700), os.WriteFile(cacheDir(home), nil, 0o600))
		}, final: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			storable := true
			var points []call
			stored := map[call]bool{} // what is expected of each
			for _, c := range calls {
				if modifyingCalls[c.name] && strings.Contains(c.path, "akslogin/") {
					points = append(points, c)
					stored[c] = storable && !disaster.final
				}
				storable = storable && c.name != "renameat"
			}
			if storable || len(points) < 10 {
				t.Fatalf("an entry is stored otherwise by now: %v", calls)
			}
			forEach(t, 2, points, func(at call) error {
				home, err := f.newHome(nil)
				if err != nil {
					return err
				}
				struck := errors.New("it was not reached")
				done, err := f.runTraced(home, home, func(now call) fault {
					if now == at {
						struck = disaster.strike(home)
					}
					return fault{}
				})
				if err = errors.Join(err, struck); err == nil {
					err = f.checkSuccess(done.exitResult)
				}
				if err != nil {
					return err
				}
				if disaster.final {
					return f.runWithoutFaults(home)
				}
				now, err := readEntry(home)
				if got := now != nil; err != nil || got != stored[at] {
					return fmt.Errorf("stored: %v, want %v, %w", got, stored[at], err)
				}
				return f.runWithoutFaults(home)
			})
		})
	}
}

// A federated token that cannot be read is told with its file and the reason, and with a hint that
// does not blame the token. What can be tried again at once is.
func TestFederatedTokenReadErrors(t *testing.T) {
	f := newFaultTest(t)
	home, err := f.newHome(nil)
	if err != nil {
		t.Fatal(err)
	}
	under := filepath.Dir(f.token)
	calls := f.traceCalls(under, home)
	all := callFailures(t, calls)
	printed := slices.IndexFunc(calls, func(c call) bool { return c.name == "newfstatat" && c.nth == 3 }) // once for a memo, once for the login, and then to keep one
	if printed < 0 {
		t.Fatalf("it is read otherwise by now: %v", calls)
	}
	harmless := map[string]bool{"epoll_ctl": true, "close": true}
	forEach(t, 2, all, func(a callFailure) error {
		home, err := f.newHome(nil)
		if err != nil {
			return err
		}
		reached := false
		done, err := f.runTraced(under, home, a.decide(&reached))
		switch {
		case err != nil || !reached:
			return fmt.Errorf("reached: %v, %w", reached, err)
		case a.errno == syscall.EINTR, harmless[a.at.name] && !a.andAllAfter:
			return f.checkSuccess(done.exitResult)
		case done.status == 0 && (!a.andAllAfter || a.at.name == "close" || slices.Contains(calls[printed:], a.at)): // what fails for a memo is tried again by the login
			return f.checkSuccess(done.exitResult)
		}
		lines := strings.Split(strings.TrimSuffix(done.stderr, "\n"), "\n")
		want := fmt.Sprintf("akslogin: error: read the federated token in %q (--federated-token-file): %v", f.token, a.errno)
		if done.status.ExitStatus() != token.ExitLoginFailed || done.stdout != "" || lines[0] != want || len(lines) != 2 || !strings.HasPrefix(lines[1], "akslogin: hint: ") {
			return fmt.Errorf("status %#x, %q, %q; want %q and a hint", done.status, done.stdout, done.stderr, want)
		}
		if blames := strings.Contains(lines[1], "it has to hold the token"); blames {
			return fmt.Errorf("%q says nothing about the disk", lines[1])
		}
		return nil
	})
	t.Logf("%d accidents", len(all))
}
