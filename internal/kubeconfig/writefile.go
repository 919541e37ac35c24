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
)

// Paths are the kubeconfig files that count, in the order in which they do, whether they exist or
// not: explicit alone if there is one, else those in $KUBECONFIG, else ~/.kube/config. They are
// those that kubectl reads.
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
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	return []string{filepath.Join(home, ".kube", "config")}
}

// Update replaces the content of a file with what change makes of it, under kubectl's lock, for
// which it waits until ctx ends. Readers see the old content or the new, and the mode stays, the
// owner too where this user may give files away. A link stays a link. Where nothing differs,
// nothing is written. An error of change is returned as it is. After an error the file is as it
// was, unless it says otherwise.
func Update(
	ctx context.Context,
	path string,
	change func(old []byte) ([]byte, error),
) (result error) {
	if _, err := statRegular(path); err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	// kubectl locks the name that it was given. Who comes by another one has to wait as well, so
	// the file's own name is locked too, and first.
	names := []string{target, path}
	if samePath(target, path) {
		names = names[:1]
	}
	for _, name := range names {
		unlock, err := lockFile(ctx, name)
		if err != nil {
			return err
		}
		defer func() {
			if e := unlock(); e != nil && result == nil {
				result = fmt.Errorf("%s is written, but kubectl's lock remains: %w", path, e)
			}
		}()
	}
	fi, err := statRegular(target)
	if err != nil {
		return err
	}
	old, err := readLimited(target)
	if err != nil {
		return err
	}
	content, err := change(old)
	if err != nil || bytes.Equal(old, content) {
		return err
	}
	if err := checkReplaceable(target, fi); err != nil {
		return err
	}
	return replaceFile(target, content, fi)
}

// WriteFile writes a file in one step, with mode 0600 whether it is new or not, and makes the
// folders that it needs. Nothing but a file is replaced: no folder, no link, and no file that is
// read-only.
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
		return fmt.Errorf("%s exists and is no regular file; name another one", path)
	default:
		if err := checkReplaceable(path, fi); err != nil {
			return err
		}
	}
	return replaceFile(path, content, nil)
}

// samePath tells whether two paths name one entry of one folder, and so have one lock.
func samePath(a, b string) bool {
	folderA, errA := os.Stat(filepath.Dir(a))
	folderB, errB := os.Stat(filepath.Dir(b))
	return errA == nil && errB == nil && os.SameFile(folderA, folderB) &&
		filepath.Base(a) == filepath.Base(b)
}

// statRegular says why there is no file that could be edited. It follows links.
func statRegular(path string) (fs.FileInfo, error) {
	fi, err := os.Stat(path)
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	return fi, err
}

// Read reads a kubeconfig for Parse. What is no regular file, or larger than a kubeconfig can be,
// is an error.
func Read(path string) ([]byte, error) {
	if _, err := statRegular(path); err != nil {
		return nil, err
	}
	return readLimited(path)
}

// CheckWritable says why Update would not replace a file. It tells nothing of the folder.
func CheckWritable(path string) error {
	fi, err := statRegular(path)
	if err != nil {
		return err
	}
	return checkReplaceable(path, fi)
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(content) > maxSize {
		err = tooLargeError(path)
	}
	return content, err
}

const lockPollInterval = 20 * time.Millisecond

// lockFile takes the lock that client-go takes before it writes a kubeconfig: a file that must not
// exist. Nobody's death frees it, and nothing tells a dead holder's from a living one's, so it is
// never removed by others.
func lockFile(ctx context.Context, path string) (unlock func() error, err error) {
	name := path + ".lock"
	for {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			f.Close()
			if err := ctx.Err(); err != nil { // it came too late
				return nil, errors.Join(err, os.Remove(name))
			}
			return func() error { return os.Remove(name) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("lock %s as kubectl does: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf(
				"%s is locked: kubectl or another program is writing it, or was stopped while it did. If none is, remove %s (%w)",
				path,
				name,
				context.Cause(ctx),
			)
		case <-time.After(lockPollInterval):
		}
	}
}

// checkReplaceable says why a file must not be replaced, though its folder would allow it: kubectl,
// who writes in place, could not change it.
func checkReplaceable(path string, fi fs.FileInfo) error {
	if fi.Mode().Perm()&0o200 == 0 { // stops root too: somebody meant it
		return fmt.Errorf("%s is read-only (mode %04o) and left as it is", path, fi.Mode().Perm())
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// replaceFile puts a new file in the place of old, which lends its mode and owner, or of nothing:
// nil.
func replaceFile(path string, content []byte, old fs.FileInfo) error {
	f, err := os.CreateTemp(
		filepath.Dir(path),
		filepath.Base(path)+".*.tmp",
	) // 0600, says its documentation
	if err == nil {
		err = errors.Join(writeContent(f, content, old), f.Close())
		if err == nil {
			err = robustio.Rename(f.Name(), path)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if errors.Is(err, syscall.EBUSY) {
		err = fmt.Errorf(
			"it is mounted by itself, so that no other file can take its place; mount its folder, or change it where it comes from (%w)",
			err,
		)
	}
	if err != nil {
		return fmt.Errorf("%s was not written: %w", path, err)
	}
	if folder, err := os.Open(filepath.Dir(path)); err == nil {
		_ = folder.Sync() // not every system can; the file is complete without
		folder.Close()
	}
	return nil
}

func writeContent(f *os.File, content []byte, old fs.FileInfo) error {
	if old != nil {
		if err := copyOwnership(f, old); err != nil {
			return err
		}
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}
