package token

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// readRegularFile reads at most so many bytes of a regular file. Its errors leave out the path,
// which the sentence around them names.
func readRegularFile(file string, atMost int64) ([]byte, error) {
	fi, err := os.Stat(file) // follows the links that Kubernetes mounts tokens with
	if err != nil {
		return nil, withoutPath(err)
	}
	if !fi.Mode().IsRegular() { // opening a pipe could wait for ever
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, atMost))
	return raw, withoutPath(err)
}

// withoutPath is err without the path, which the sentence around it names already.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
