// Package runlog logs a run: to standard error with -v, and to a log file for clients that drop
// standard error. Nothing it writes holds a secret: every value passes token.Clean.
package runlog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"

	"github.com/akslogin/akslogin/token"
)

// NewLogger returns a logger that writes to standard error if verbosity is above 0, and to the log
// file unless that is nil.
func NewLogger(verbosity int, file *File) *slog.Logger {
	var handlers []slog.Handler
	if verbosity > 0 {
		handlers = append(handlers, newHandler(os.Stderr))
	}
	if file != nil {
		file.logSuccess = verbosity > 0
		handlers = append(handlers, file.handler)
	}
	if len(handlers) == 0 {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewMultiHandler(handlers...))
}

func newHandler(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindTime || a.Value.Kind() == slog.KindInt64 {
				return a
			}
			return slog.String(a.Key, token.Clean(a.Value.String()))
		},
	})
}

// LogSDKRetries sends the Azure SDK's messages about retries to log and nowhere else, whatever
// AZURE_SDK_GO_LOGGING says. They hold no secrets: the SDK redacts headers and leaves out bodies.
func LogSDKRetries(log *slog.Logger) {
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		azlog.SetListener(nil)
		return
	}
	azlog.SetEvents(azlog.EventRetryPolicy)
	azlog.SetListener(func(_ azlog.Event, message string) { log.Debug("SDK", "says", message) })
}

const (
	maxFileSize  = 4 << 20         // A larger file is renamed to FILE.1.
	writeTimeout = 2 * time.Second // the longest that a run waits for the disk
)

// File collects the log lines of one run and appends them to a file when the run ends, in one
// write, so that the lines of concurrent runs do not mix. If that fails, the run is not logged.
// The methods of a nil *File do nothing.
type File struct {
	path       string
	handler    slog.Handler
	logSuccess bool // also append a run that did not fail

	mu    sync.Mutex // The watchdog may end the run from another goroutine.
	lines bytes.Buffer
}

// Open returns the log file at an absolute path, nil if the path is empty. It does not touch the
// disk.
func Open(path string) *File {
	if path == "" {
		return nil
	}
	f := &File{path: path}
	f.handler = newHandler(f).WithAttrs([]slog.Attr{slog.Int("pid", os.Getpid())})
	return f
}

// Write collects one line of the run's log. It never fails.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lines.Write(line)
}

// WriteFailure appends the run and the error that ended it.
func (f *File) WriteFailure(e token.Explanation) {
	if f != nil {
		slog.New(f.handler).Error(e.Text, "hint", e.Hint, "exit", e.Exit)
		f.flush()
	}
}

// WriteSuccess appends a run that did not fail, if [NewLogger] got a verbosity above 0.
func (f *File) WriteSuccess() {
	if f != nil && f.logSuccess {
		f.flush()
	}
}

// flush appends the collected lines. It does not wait longer than writeTimeout. It drops errors:
// doctor reports log file problems.
func (f *File) flush() {
	f.mu.Lock()
	lines := bytes.Clone(f.lines.Bytes())
	f.lines.Reset()
	f.mu.Unlock()
	if len(lines) == 0 {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = AppendFile(f.path, lines)
	}()
	select {
	case <-done:
	case <-time.After(writeTimeout):
	}
}

// AppendFile appends lines to this user's own file at path, or writes them to a device or to a pipe
// that somebody reads. It follows no link, except to an open file of a process, as /proc/1/fd/2. It
// creates the file for its owner only, and renames a file that is too large.
func AppendFile(path string, lines []byte) error {
	f, err := openForAppend(path)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() && fi.Size() > maxFileSize {
		// Another process may have renamed it in the meantime.
		now, err := os.Lstat(path)
		same := err == nil && os.SameFile(fi, now)
		f.Close() // Windows does not rename open files.
		if same {
			os.Rename(path, path+".1")
		}
		if f, err = openForAppend(path); err != nil {
			return err
		}
	}
	_, err = f.Write(lines)
	return err
}

// openForAppend opens a log file, and refuses one that another user may have put there: the lines
// would go to that user, or to another file of this one.
func openForAppend(path string) (*os.File, error) {
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY | openNonblock
	if isOpenFileOrDevice(path) {
		return os.OpenFile(path, flags, 0o600)
	}
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%s is a symbolic link, which is not followed for a log file", path)
	}
	f, err := os.OpenFile(path, flags|openNoFollow, 0o600)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil {
		err = checkOwn(fi)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// isOpenFileOrDevice reports whether a path leads to a device or to an open file of a process, such
// as the log of a container's first process. Only the system or the process's owner chooses those.
func isOpenFileOrDevice(path string) bool {
	for _, pattern := range []string{"/dev/*", "/dev/fd/*", "/proc/*/fd/*"} {
		if match, _ := filepath.Match(pattern, filepath.Clean(path)); match {
			return true
		}
	}
	return false
}
