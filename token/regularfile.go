package token

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// readRegularFile returns at most limit bytes of a regular file. Its errors do not have the path,
// because the sentences around them name it.
func readRegularFile(file string, limit int64) ([]byte, error) {
	fi, err := os.Stat(file) // follows symlinks, which Kubernetes uses for mounted tokens
	if err != nil {
		return nil, withoutPath(err)
	}
	if !fi.Mode().IsRegular() { // opening a FIFO could block forever
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit))
	return raw, withoutPath(err)
}

// withoutPath returns the cause in an *fs.PathError, or err itself.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
