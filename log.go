package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/token"
)

// logFlags say where a run is written down for hosts that throw standard error away.
type logFlags struct {
	LogFile string `name:"log-file" group:"general" placeholder:"FILE" ambient:"AKSLOGIN_LOG_FILE" help:"File to which a failed run appends what it did and why it failed, as -v would say it; with -v every run does. For hosts that throw standard error away."`
}

// path is the log file's absolute path, by the flag or else by the variable; "" where there is none.
func (l logFlags) path() string {
	named := valueOrVariable(l.LogFile, reflect.TypeOf(l), "LogFile")
	if named == "" {
		return ""
	}
	return cache.Absolute(named)
}

// complain speaks to people: lower case, one line for what happened and one for what to do, since hosts show no more than that.
// Standard output is the client's and stays empty.
func (w world) complain(e token.Explanation) (exit int) {
	text := "akslogin: error: " + e.Text + "\n"
	if e.Hint != "" {
		text += "akslogin: hint: " + e.Hint + "\n"
	}
	fmt.Fprint(os.Stderr, text)
	if w.logFile != nil {
		w.logFile.failed(e)
	}
	return e.Exit
}

// logger speaks to standard error when asked to with -v, and to the log file.
func logger(v int, file *logFile) *slog.Logger {
	var handlers []slog.Handler
	if v > 0 {
		handlers = append(handlers, handler(os.Stderr))
	}
	if file != nil {
		file.always = v > 0
		handlers = append(handlers, file.handler)
	}
	if len(handlers) == 0 {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewMultiHandler(handlers...))
}

func handler(w io.Writer) slog.Handler {
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

// listenToSDK lets the SDK's own words about retries through to a log, and not to standard error wherever AZURE_SDK_GO_LOGGING asks for that.
// They hold no secrets: headers are redacted and bodies left out.
func listenToSDK(log *slog.Logger) {
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		azlog.SetListener(nil)
		return
	}
	azlog.SetEvents(azlog.EventRetryPolicy)
	azlog.SetListener(func(_ azlog.Event, message string) { log.Debug("SDK", "says", message) })
}

const (
	maxLogFile = 4 << 20         // a larger one is put aside first
	logTime    = 2 * time.Second // the longest that a run waits for a disk to take its log
)

// logFile is what one run has to say, and the file to which it is appended in one write at the run's end, so that the lines of runs at once stay
// together. Where that does not work the run goes on without.
type logFile struct {
	path    string
	handler slog.Handler
	always  bool // whether a run is written down that did not fail

	mu    sync.Mutex // guards lines: whoever waits for a disk in vain ends the run from another goroutine
	lines bytes.Buffer
}

// openLogFile returns the log file at an absolute path; nil where the path is empty.
func openLogFile(path string) *logFile {
	if path == "" {
		return nil
	}
	l := &logFile{path: path}
	l.handler = handler(l).WithAttrs([]slog.Attr{slog.Int("pid", os.Getpid())})
	return l
}

// Write takes a line.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(line)
}

func (l *logFile) failed(e token.Explanation) {
	slog.New(l.handler).Error(e.Text, "hint", e.Hint, "exit", e.Exit)
	l.append()
}

// succeeded ends the log of a run that did not fail; nil has none.
func (l *logFile) succeeded() {
	if l != nil && l.always {
		l.append()
	}
}

// append writes all lines to the file's end. A disk that does not answer is left alone.
func (l *logFile) append() {
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
		_ = appendTo(l.path, lines) // what is wrong with the file, doctor says
	}()
	select {
	case <-done:
	case <-time.After(logTime):
	}
}

// appendTo appends to a file, which is made for its owner only, or to a pipe or device that somebody reads. A file that has become too large is renamed first.
func appendTo(path string, lines []byte) error {
	f, err := openLog(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() && fi.Size() > maxLogFile {
		if there, err := os.Lstat(path); err == nil && os.SameFile(fi, there) { // nobody else has renamed it by now
			os.Rename(path, path+".1")
		}
		f.Close()
		if f, err = openLog(path); err != nil {
			return err
		}
		defer f.Close()
	}
	_, err = f.Write(lines)
	return err
}

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|noWaiting, 0o600)
}
