package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/robustio"
)

// replaceFile writes the file by an atomic rename. With sync, the content is on disk before that,
// if the disk can do it.
func replaceFile(path string, content []byte, sync bool) error {
	temp, err := writeTemp(path, content, sync)
	if err != nil {
		return err
	}
	err = retryBusy(time.Now().Add(busyTimeout), func() error { return os.Rename(temp, path) })
	if err != nil {
		os.Remove(temp)
	}
	return err
}

// busyTimeout is how long retryBusy usually tries again.
const busyTimeout = 2 * time.Second

// retryBusy calls f again until the deadline while it fails because another process has a file
// open. That happens on Windows for moments, such as while a process reads an entry.
func retryBusy(deadline time.Time, f func() error) error {
	for {
		err := f()
		if err == nil || !robustio.IsEphemeralError(err) || errors.Is(err, fs.ErrNotExist) ||
			time.Now().After(deadline) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// writeTemp writes content to a new file beside path, with mode 0600, and returns its path.
func writeTemp(path string, content []byte, sync bool) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+tempSuffix)
	if err != nil {
		return "", err
	}
	if err := writeAndClose(f, content, sync); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// writeAndClose writes content to f, with sync also to the disk, and closes f. It ignores a failure
// of syncing, which some file systems and sandboxes refuse. Damage by a crash is then detected when
// the file is read: entries are authenticated, and a key of another length is not used.
func writeAndClose(f *os.File, content []byte, sync bool) error {
	_, err := f.Write(content)
	if err == nil && sync {
		_ = syncFile(f)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
