package sealed

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// CheckDir says why a folder must not be used; nil when it may: it is this user's, nobody else can
// write to it, and it is no link. An absent folder is an error too (fs.ErrNotExist).
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

// ReadPrivate reads a regular file that belongs to this user and that only he can write to; no link
// is followed, and a pipe or device in its place does not block.
func ReadPrivate(path string, limit int64) ([]byte, error) {
	f, err := openForReading(path, NoFollow)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadOpenFile(f, limit, CheckPrivate)
}

// ReadRegular reads a regular file of at most so many bytes, whosever it is; links are followed.
func ReadRegular(path string, limit int64) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() { // opening a pipe could wait for ever
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := openForReading(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadOpenFile(f, limit, func(fs.FileInfo) error { return nil })
}

// ReadOpenFile reads an open regular file of at most so many bytes, if it fits.
func ReadOpenFile(f *os.File, limit int64, fits func(fs.FileInfo) error) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := fits(fi); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > limit {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", f.Name(), limit)
	}
	// The file may grow while it is read; a sealed entry that was cut does not open.
	buf := make([]byte, fi.Size())
	n, err := io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return buf[:n], nil
}
