package runlog

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/akslogin/akslogin/token"
)

// NewLogger speaks to standard error when asked to with -v, and to the log file.
func NewLogger(v int, file *File) *slog.Logger {
	var handlers []slog.Handler
	if v > 0 {
		handlers = append(handlers, newHandler(os.Stderr))
	}
	if file != nil {
		file.onSuccessToo = v > 0
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
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { // a secret may stand where another value should
			if a.Value.Kind() == slog.KindTime || a.Value.Kind() == slog.KindInt64 {
				return a
			}
			return slog.String(a.Key, token.Clean(a.Value.String()))
		},
	})
}

// LogSDKRetries lets the SDK's own words about retries through to a log, and not to standard error
// wherever AZURE_SDK_GO_LOGGING asks for that. They hold no secrets: headers are redacted and
// bodies left out.
func LogSDKRetries(log *slog.Logger) {
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		azlog.SetListener(nil)
		return
	}
	azlog.SetEvents(azlog.EventRetryPolicy)
	azlog.SetListener(func(_ azlog.Event, message string) { log.Debug("SDK", "says", message) })
}

const (
	maxFileSize  = 4 << 20         // a larger one is put aside first
	writeTimeout = 2 * time.Second // the longest that a run waits for a disk to take its log
)

// File is what one run has to say, and the file to which it is appended in one write at the run's
// end, so that the lines of runs at once stay together. Where that does not work the run goes on
// without.
type File struct {
	path         string
	handler      slog.Handler
	onSuccessToo bool // whether a run is written down that did not fail

	mu    sync.Mutex // guards lines: whoever waits for a disk in vain ends the run from another goroutine
	lines bytes.Buffer
}

// Open returns the log file at an absolute path; nil where the path is empty.
func Open(path string) *File {
	if path == "" {
		return nil
	}
	l := &File{path: path}
	l.handler = newHandler(l).WithAttrs([]slog.Attr{slog.Int("pid", os.Getpid())})
	return l
}

// Write takes a line.
func (l *File) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(line)
}

func (l *File) WriteFailure(e token.Explanation) {
	slog.New(l.handler).Error(e.Text, "hint", e.Hint, "exit", e.Exit)
	l.flush()
}

// WriteSuccess ends the log of a run that did not fail; nil has none.
func (l *File) WriteSuccess() {
	if l != nil && l.onSuccessToo {
		l.flush()
	}
}

// flush writes all lines to the file's end. A disk that does not answer is left alone.
func (l *File) flush() {
	l.mu.Lock()
	lines := bytes.Clone(l.lines.Bytes())
	l.lines.Reset()
	l.mu.Unlock()
	if len(lines) == 0 {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = AppendFile(l.path, lines) // what is wrong with the file, doctor says
	}()
	select {
	case <-done:
	case <-time.After(writeTimeout):
	}
}

// AppendFile appends to a file, which is made for its owner only, or to a pipe or device that
// somebody reads. A file that has become too large is renamed first.
func AppendFile(path string, lines []byte) error {
	f, err := openForAppend(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() && fi.Size() > maxFileSize {
		if there, err := os.Lstat(
			path,
		); err == nil &&
			os.SameFile(fi, there) { // nobody else has renamed it by now
			os.Rename(path, path+".1")
		}
		f.Close()
		if f, err = openForAppend(path); err != nil {
			return err
		}
		defer f.Close()
	}
	_, err = f.Write(lines)
	return err
}

func openForAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|openNonblock, 0o600)
}
