package token

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// readSecretFile returns at most limit bytes of the file that holds a login's secret, without the
// byte order mark that editors on Windows put first. The file may be a pipe, as a shell's
// <(command) is.
func (r Request) readSecretFile(file string, limit int64) ([]byte, error) {
	content, known := r.pipes[file]
	if !known {
		var err error
		if isPipe(file) {
			content, err = readPipe(file, limit, cmp.Or(r.Timeout, time.Minute))
		} else {
			content, err = readRegularFile(file, limit)
		}
		if err != nil {
			return nil, err
		}
		if r.pipes != nil {
			r.pipes[file] = content
		}
	}
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return nil, errUTF16
	}
	return bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), nil
}

var errUTF16 = errors.New("it is text in UTF-16, as PowerShell's > writes it: write it in UTF-8 or ASCII")

func isPipe(file string) bool {
	fi, err := os.Stat(file)
	return err == nil && fi.Mode()&fs.ModeNamedPipe != 0
}

// readPipe returns at most limit bytes from a pipe. It waits for them at most as long as timeout,
// also for a program that opens the pipe for writing.
func readPipe(file string, limit int64, timeout time.Duration) ([]byte, error) {
	type result struct {
		content []byte
		err     error
	}
	done := make(chan result, 1)
	go func() {
		f, err := os.Open(file)
		if err != nil {
			done <- result{nil, withoutPath(err)}
			return
		}
		defer f.Close()
		content, err := io.ReadAll(io.LimitReader(f, limit))
		done <- result{content, withoutPath(err)}
	}()
	select {
	case r := <-done:
		return r.content, r.err
	case <-time.After(timeout):
		return nil, fmt.Errorf("it is a pipe, and reading it timed out after %s", timeout)
	}
}

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
