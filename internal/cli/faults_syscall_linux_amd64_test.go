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
)

// runTraced runs a login, and injects faults in its system calls on a folder.
func (f faultTest) runTraced(folder, home string, decide func(call) fault) (tracedRun, error) {
	return tracer{folder: folder, decide: decide}.run(f.program, f.args(), f.env(home))
}

// traceCalls returns the system calls of a login on a folder. It leaves out those that depend on
// the time a login takes: the lock holder refreshes the lock's modification time every second.
func (f faultTest) traceCalls(folder, home string) []call {
	f.t.Helper()
	result, err := f.runTraced(folder, home, func(call) fault { return fault{} })
	if err == nil {
		err = f.checkSuccess(result.exitResult)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	if len(result.calls) < 4 {
		f.t.Fatalf("only the calls %v: is it the right folder?", result.calls)
	}
	return slices.DeleteFunc(result.calls, func(c call) bool {
		return c.name == "utimes" && c.nth > 1
	})
}

// forEach calls do for all items, in parallel for so many of them, and reports the errors.
func forEach[T any](t *testing.T, parallel int, items []T, do func(T) error) {
	t.Helper()
	errs := make([]error, len(items))
	var group sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, item := range items {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = do(item)
		})
	}
	group.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("%v: %v", items[i], err)
		}
	}
}

// modifyingCalls are the calls that change the disk. Where between two of them a process is killed
// makes no difference.
var modifyingCalls = map[string]bool{
	"openat": true, "mkdirat": true, "flock": true, "utimes": true, "write": true,
	"fsync": true, "renameat": true, "utimensat": true, "unlinkat": true,
}

// possibleErrnos are the errors that a call can return on a disk that is full, broken, owned by
// another user, or remote.
var possibleErrnos = map[string][]syscall.Errno{
	"openat":     {syscall.EACCES, syscall.EDQUOT, syscall.EINTR, syscall.EIO, syscall.EMFILE, syscall.ENOSPC, syscall.EROFS, syscall.ESTALE},
	"faccessat":  {syscall.EACCES, syscall.EIO, syscall.EROFS},
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

// callFailure is a system call that fails.
type callFailure struct {
	at         call
	errno      syscall.Errno
	persistent bool // all later calls fail too
}

func (a callFailure) String() string {
	if a.persistent {
		return fmt.Sprintf("%s and all later calls: %v", a.at, a.errno)
	}
	return fmt.Sprintf("%s: %v", a.at, a.errno)
}

// decide returns a tracer's decide function that injects the failure. It sets reached when the call
// is made.
func (a callFailure) decide(reached *bool) func(call) fault {
	return func(c call) fault {
		if c == a.at {
			*reached = true
		}
		if c == a.at || a.persistent && *reached {
			return fault{errno: a.errno}
		}
		return fault{}
	}
}

// callFailures returns the failures to inject: one for each call, where calls of the same name take
// turns with their possible errors, and a persistent one from each modifying call on.
func callFailures(t *testing.T, calls []call) (all []callFailure) {
	next := map[string]int{}
	for _, c := range calls {
		errnos := possibleErrnos[c.name]
		if errnos == nil && c.name != "fcntl" { // which reads flags, and never fails
			t.Errorf("possibleErrnos has no errors of %s", c.name)
		}
		if len(errnos) > 0 {
			all = append(all, callFailure{at: c, errno: errnos[next[c.name]%len(errnos)]})
			next[c.name]++
		}
		if modifyingCalls[c.name] {
			all = append(all, callFailure{at: c, errno: syscall.EIO, persistent: true})
		}
	}
	return all
}

// TestEveryDiskCallFails checks that a login succeeds silently on a failing disk, and leaves no
// temporary files that it can remove.
func TestEveryDiskCallFails(t *testing.T) {
	skipIfShort(t, "a run for each system call")
	f := newFaultTest(t)
	warm, err := f.newHome(nil)
	if err == nil {
		err = f.runWithoutFaults(warm)
	}
	if err != nil {
		t.Fatal(err)
	}
	warmFiles, err := readCacheFiles(warm)
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string][]byte{"no folder": nil, "warm": warmFiles} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			first, err := f.newHome(files)
			if err != nil {
				t.Fatal(err)
			}
			failures := callFailures(t, f.traceCalls(first, first))
			forEach(t, 2, failures, func(a callFailure) error {
				home, err := f.newHome(files)
				if err != nil {
					return err
				}
				reached := false
				result, err := f.runTraced(home, home, a.decide(&reached))
				if err == nil {
					err = f.checkSuccess(result.exitResult)
				}
				if err != nil || !reached {
					return fmt.Errorf("reached: %v, %w", reached, err)
				}
				all, err := readCacheFiles(home)
				for name := range all {
					if strings.HasSuffix(name, ".tmp") && !a.persistent {
						return fmt.Errorf("left %s", name)
					}
				}
				return errors.Join(err, f.checkNoSecrets(home), f.runWithoutFaults(home))
			})
			t.Logf("%d failures", len(failures))
		})
	}
}

// TestRefusedFsyncKeepsEntry checks that a token is cached where fsync is refused.
func TestRefusedFsyncKeepsEntry(t *testing.T) {
	f := newFaultTest(t)
	home, err := f.newHome(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		f.entra.ResetCounters()
		refused := false
		result, err := f.runTraced(home, home, func(c call) fault {
			if c.name != "fsync" {
				return fault{}
			}
			refused = true
			return fault{errno: syscall.EINVAL}
		})
		if err = errors.Join(err, f.checkSuccess(result.exitResult)); err != nil {
			t.Fatal(err)
		}
		if got := f.entra.TokenRequests(); got != want || refused != (want == 1) {
			t.Errorf("%d token requests, want %d; fsync was refused: %v", got, want, refused)
		}
		warmStarts, _ := filepath.Glob(filepath.Join(cacheDir(home), "*.memo"))
		for _, path := range warmStarts {
			os.Remove(path)
		}
	}
}

// TestCacheRemovedAtEverySystemCall checks that a login succeeds if another process removes or
// replaces the cache folder during it, and stores its token if that is still possible.
func TestCacheRemovedAtEverySystemCall(t *testing.T) {
	skipIfShort(t, "a run for each system call")
	f := newFaultTest(t)
	first, err := f.newHome(nil)
	if err != nil {
		t.Fatal(err)
	}
	calls := f.traceCalls(first, first)
	for name, event := range map[string]cacheEvent{
		"removed":      {do: func(home string) error { return os.RemoveAll(cacheDir(home)) }},
		"home removed": {do: os.RemoveAll},
		"replaced by a file": {final: true, do: func(home string) error {
			dir := cacheDir(home)
			err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Dir(dir), 0o700))
			return errors.Join(err, os.WriteFile(dir, nil, 0o600))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			var points []call
			wantStored := map[call]bool{}
			renamed := false // the entry is in place
			for _, c := range calls {
				if modifyingCalls[c.name] && strings.Contains(c.path, "akslogin/") {
					points = append(points, c)
					wantStored[c] = !renamed && !event.final
				}
				renamed = renamed || c.name == "renameat"
			}
			if !renamed || len(points) < 10 {
				t.Fatalf("these calls do not store an entry: %v", calls)
			}
			forEach(t, 2, points, func(at call) error {
				return f.runWithEvent(at, event, wantStored[at])
			})
		})
	}
}

// cacheEvent is what another process does to the cache.
type cacheEvent struct {
	do    func(home string) error
	final bool // no token can be stored afterwards
}

// runWithEvent runs a login during which an event happens before a system call, and then another
// login. It checks that both succeed, and whether the first one has stored its token.
func (f faultTest) runWithEvent(at call, event cacheEvent, wantStored bool) error {
	home, err := f.newHome(nil)
	if err != nil {
		return err
	}
	eventErr := errors.New("the call was not reached")
	result, err := f.runTraced(home, home, func(c call) fault {
		if c == at {
			eventErr = event.do(home)
		}
		return fault{}
	})
	if err = errors.Join(err, eventErr); err == nil {
		err = f.checkSuccess(result.exitResult)
	}
	if err != nil {
		return err
	}
	if event.final {
		return f.runWithoutFaults(home)
	}
	entry, err := readEntry(home)
	if stored := entry != nil; err != nil || stored != wantStored {
		return fmt.Errorf("stored: %v, want %v, %w", stored, wantStored, err)
	}
	return f.runWithoutFaults(home)
}

// TestFederatedTokenReadErrors checks that a federated token which cannot be read is reported with
// its file and the cause, and a hint that does not blame its content. Interrupted calls are
// retried.
func TestFederatedTokenReadErrors(t *testing.T) {
	f := newFaultTest(t)
	home, err := f.newHome(nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(f.token)
	calls := f.traceCalls(folder, home)
	failures := callFailures(t, calls)
	// A run reads the file for a warm start, for the login, and to store a warm-start entry. The
	// third time the output is already printed.
	printed := slices.IndexFunc(calls, func(c call) bool {
		return c.name == "newfstatat" && c.nth == 3
	})
	if printed < 0 {
		t.Fatalf("the federated token is not read three times: %v", calls)
	}
	harmless := map[string]bool{"epoll_ctl": true, "close": true}
	forEach(t, 2, failures, func(a callFailure) error {
		home, err := f.newHome(nil)
		if err != nil {
			return err
		}
		reached := false
		result, err := f.runTraced(folder, home, a.decide(&reached))
		// A failure in a warm start is harmless if the login's own reading succeeds.
		maySucceed := !a.persistent || a.at.name == "close" ||
			slices.Contains(calls[printed:], a.at)
		switch {
		case err != nil || !reached:
			return fmt.Errorf("reached: %v, %w", reached, err)
		case a.errno == syscall.EINTR, harmless[a.at.name] && !a.persistent:
			return f.checkSuccess(result.exitResult)
		case result.status == 0 && maySucceed:
			return f.checkSuccess(result.exitResult)
		}
		if err := result.checkErrorLines(); err != nil {
			return err
		}
		line, hint, _ := strings.Cut(strings.TrimSuffix(result.stderr, "\n"), "\n")
		want := fmt.Sprintf("akslogin: error: read the federated token in %q "+
			"(--federated-token-file): %v", f.token, a.errno)
		if line != want || !strings.HasPrefix(hint, "akslogin: hint: ") {
			return fmt.Errorf("stderr %q; want %q and a hint", result.stderr, want)
		}
		if strings.Contains(hint, "it must contain the token") {
			return fmt.Errorf("%q does not name the disk", hint)
		}
		return nil
	})
	t.Logf("%d failures", len(failures))
}
