package kubeconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/robustio"
	"k8s.io/client-go/util/homedir"
)

// Paths returns the paths of the kubeconfig files that kubectl reads, in order of precedence,
// whether they exist or not. They are explicit alone if it is not empty, otherwise the list in
// $KUBECONFIG without empty and repeated paths, otherwise ~/.kube/config. Paths returns none if
// there is no home directory.
func Paths(explicit string, getenv func(string) string) (files []string) {
	if explicit != "" {
		return []string{explicit}
	}
	if list := getenv("KUBECONFIG"); list != "" {
		for _, path := range filepath.SplitList(list) {
			if path != "" && !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
		return files
	}
	home := homedir.HomeDir() // as client-go: on Windows, %HOME% may be another folder
	if home == "" {
		return nil
	}
	return []string{filepath.Join(home, ".kube", "config")}
}

// ErrChanged reports that a file no longer has the content that Replace was to replace.
var ErrChanged = errors.New("another program changed it at the same time")

// Replace replaces the content of a file, if that is old. If it is not, because another program
// wrote the file since it was read, Replace leaves the file alone and returns an error that wraps
// ErrChanged.
//
// Replace writes a temporary file first. It takes kubectl's lock only to read the file again and
// rename: kubectl does not wait but fails at once while Replace holds the lock. Replace waits for
// the lock until ctx is done, and then returns an error that wraps the cause. Before Replace
// returns it removes its lock and temporary file, also when ctx ends.
//
// The rename is atomic and in the directory of the file: readers see the old content or the new
// content. A program that does not take the lock may write in the moment before the rename. Where
// the operating system can exchange two files, Replace finds that out and puts its content back.
//
// The file keeps its mode, and its owner and group as far as this process may set them, on Windows
// its access control list. A symbolic link stays, and the file that it points to is replaced. After
// an error the file has its old content, unless the message says otherwise. Replace refuses a file
// that is read-only, not regular, or larger than 8 MiB.
func Replace(ctx context.Context, path string, old, content []byte) error {
	fi, err := statRegular(path)
	if err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if err := checkReplaceable(path, fi); err != nil {
		return err
	}
	temp, err := writeTemp(target, content, fi)
	if err != nil {
		return notWritten(path, err)
	}
	err = replaceLocked(ctx, path, target, temp, old)
	if !errors.Is(err, errNotRestored) {
		os.Remove(temp) // after an exchange it is the old file
	}
	syncDir(target)
	return err
}

// replaceLocked puts temp in the place of target, under the locks for target and path.
func replaceLocked(ctx context.Context, path, target, temp string, old []byte) (err error) {
	unlock, err := lockFiles(ctx, path, target)
	if err != nil {
		return err
	}
	defer func() {
		if e := unlock(); e != nil && err == nil {
			err = fmt.Errorf("%s was written, but its lock file remains: %w", path, e)
		}
	}()
	current, err := Read(target)
	if err != nil {
		return err
	}
	if !bytes.Equal(current, old) {
		return notWritten(path, ErrChanged)
	}
	if err := swap(temp, target, old); err != nil {
		return notWritten(path, err)
	}
	return nil
}

var errNotRestored = errors.New("another program's version of the file could not be restored")

// swap renames temp to path, which should have the content old. If another program has just written
// path, and the system can exchange files, swap restores that content and returns ErrChanged. After
// an exchange, temp is the old file.
func swap(temp, path string, old []byte) error {
	if exchange(temp, path) != nil {
		return robustio.Rename(temp, path)
	}
	if replaced, err := Read(temp); err == nil && bytes.Equal(replaced, old) {
		return nil
	}
	if err := robustio.Rename(temp, path); err != nil {
		return fmt.Errorf("%w; it is in %s (%w)", errNotRestored, temp, err)
	}
	return ErrChanged
}

// lockFiles takes the locks for a path and for the target that it leads to, the target first.
// kubectl locks the path that it was given, and another process may use another link to the file.
func lockFiles(ctx context.Context, path, target string) (unlock func() error, err error) {
	unlockTarget, err := lockFile(ctx, target)
	if err != nil || sameDirEntry(target, path) {
		return unlockTarget, err
	}
	unlockPath, err := lockFile(ctx, path)
	if err != nil {
		return nil, errors.Join(err, unlockTarget())
	}
	return func() error { return errors.Join(unlockPath(), unlockTarget()) }, nil
}

// WriteFile writes a file by an atomic rename, without a lock. The file gets mode 0600 whether it
// is new or not. WriteFile creates missing directories with mode 0700. It refuses to replace a
// directory, a symbolic link, anything else that is not a regular file, and a read-only file.
func WriteFile(path string, content []byte) error {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%s exists and is not a regular file; choose another path", path)
	default:
		if err := checkReplaceable(path, fi); err != nil {
			return err
		}
	}
	temp, err := writeTemp(path, content, nil)
	if err != nil {
		return notWritten(path, err)
	}
	if err := robustio.Rename(temp, path); err != nil {
		os.Remove(temp)
		return notWritten(path, err)
	}
	syncDir(path)
	return nil
}

// sameDirEntry reports whether two paths name the same directory entry, and so have the same lock
// file.
func sameDirEntry(a, b string) bool {
	dirA, errA := os.Stat(filepath.Dir(a))
	dirB, errB := os.Stat(filepath.Dir(b))
	return errA == nil && errB == nil && os.SameFile(dirA, dirB) &&
		filepath.Base(a) == filepath.Base(b)
}

// statRegular is os.Stat with an error for anything that is not a regular file.
func statRegular(path string) (fs.FileInfo, error) {
	fi, err := os.Stat(path)
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	return fi, err
}

// Read returns the content of a file for Parse. It refuses a file that is not regular or is larger
// than 8 MiB, so that a FIFO or a device cannot block it.
func Read(path string) ([]byte, error) {
	if _, err := statRegular(path); err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = fmt.Errorf("read the kubeconfig %q: %w", path, pathErr.Err)
		}
		return nil, err
	}
	return readLimited(path)
}

// CheckWritable returns the error that Replace would return because of the file itself: the file is
// missing, read-only or not regular. It does not check whether the directory is writable.
func CheckWritable(path string) error {
	fi, err := statRegular(path)
	if err != nil {
		return err
	}
	return checkReplaceable(path, fi)
}

// openShared opens a file with the flag. On Windows a program that is replacing the file can keep
// others from opening it for a moment: then openShared tries again, for two seconds at most.
func openShared(path string, flag int) (*os.File, error) {
	deadline := time.Now().Add(2 * time.Second)
	for {
		f, err := os.OpenFile(path, flag, 0)
		if err == nil || !robustio.IsEphemeralError(err) || errors.Is(err, fs.ErrNotExist) ||
			time.Now().After(deadline) {
			return f, err
		}
		time.Sleep(lockPollInterval)
	}
}

func readLimited(path string) ([]byte, error) {
	f, err := openShared(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadLimited(path, f)
}

// ReadLimited reads a kubeconfig from r up to the size that Read accepts. A larger one is an error,
// which calls it name.
func ReadLimited(name string, r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err == nil && len(content) > maxSize {
		err = tooLargeError(name)
	}
	return content, err
}

const lockPollInterval = 20 * time.Millisecond

// lockFile takes the lock that client-go takes before it writes a kubeconfig: it creates PATH.lock,
// which must not exist. The lock file outlives a holder that crashes, and nothing tells whether its
// holder is alive. Therefore only the holder removes it.
func lockFile(ctx context.Context, path string) (unlock func() error, err error) {
	name := path + ".lock"
	for {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			f.Close()
			if ctx.Err() != nil {
				err := fmt.Errorf("%s was not changed: %w", path, context.Cause(ctx))
				return nil, errors.Join(err, os.Remove(name))
			}
			return func() error { return os.Remove(name) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("lock %s as kubectl does: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is locked: kubectl or another program is writing it, "+
				"or was killed while it did. If no program is writing it, remove %s (%w)",
				path, name, context.Cause(ctx))
		case <-time.After(lockPollInterval):
		}
	}
}

// checkReplaceable returns an error if this process may not write to a file. A rename needs no such
// permission, but kubectl writes in place and could not change the file either. The mode is checked
// too, because it does not stop root from opening a file that was made read-only on purpose.
func checkReplaceable(path string, fi fs.FileInfo) error {
	if fi.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("%s is read-only (mode %04o) and was not changed", path, fi.Mode().Perm())
	}
	if n := hardLinks(fi); n > 1 {
		return fmt.Errorf("%s is one of %d hard links to the file and was not changed: "+
			"the other links would keep the old content; replace it by a copy of the file, "+
			"or make the other links symbolic links", path, n)
	}
	f, err := openShared(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	return f.Close()
}

// writeTemp writes a temporary file, which os.CreateTemp creates with mode 0600, in the directory
// of path. The file takes over the mode and owner of old, which is at path, or on Windows its
// access control list; old is nil if there are none to keep.
func writeTemp(path string, content []byte, old fs.FileInfo) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return "", err
	}
	if err := errors.Join(writeContent(f, path, content, old), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func writeContent(f *os.File, path string, content []byte, old fs.FileInfo) error {
	if old != nil {
		if err := copyAccess(f, path, old); err != nil {
			return err
		}
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes a rename in the directory of path durable. Not every system can; the file is
// complete in any case.
func syncDir(path string) {
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
}

// notWritten says that the file was not written, and explains causes that need more words.
func notWritten(path string, err error) error {
	if errors.Is(err, syscall.EBUSY) {
		err = fmt.Errorf("the file itself is a mount point, so it cannot be replaced; "+
			"mount its directory instead, or change the file that is mounted (%w)", err)
	}
	return fmt.Errorf("%s was not written: %w", path, err)
}
