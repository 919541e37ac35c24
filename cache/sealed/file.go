package sealed

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// CheckDir returns nil if the directory may be used: it belongs to this user, nobody else can write
// to it, and it is not a symbolic link. Otherwise the error says why not. If there is none, the
// error is fs.ErrNotExist.
func CheckDir(path string) error {
	if !IsAbs(path) {
		return fmt.Errorf("cache folder %q is not an absolute path", path)
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("cache folder %s is not a folder (links are not followed)", path)
	}
	if err := CheckPrivate(fi); err != nil {
		return fmt.Errorf("cache folder %s: %w", path, err)
	}
	return nil
}

// ReadPrivate reads a regular file of at most limit bytes that belongs to this user and that nobody
// else can write to. It follows no symbolic link, and does not block on a pipe or device.
func ReadPrivate(path string, limit int64) ([]byte, error) {
	f, err := openForReading(path, NoFollow)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadOpenFile(f, limit, CheckPrivate)
}

// ReadRegular reads a regular file of at most limit bytes, whoever owns it. It follows symbolic
// links.
func ReadRegular(path string, limit int64) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() { // opening a pipe could block forever
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := openForReading(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadOpenFile(f, limit, func(fs.FileInfo) error { return nil })
}

// ReadOpenFile reads an open regular file of at most limit bytes, unless check returns an error.
func ReadOpenFile(f *os.File, limit int64, check func(fs.FileInfo) error) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := check(fi); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > limit {
		return nil, fmt.Errorf("%s is not a regular file, or is larger than %d bytes", f.Name(),
			limit)
	}
	// The file may grow or shrink meanwhile. A truncated entry fails authentication.
	buf := make([]byte, fi.Size())
	n, err := io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return buf[:n], nil
}
