//go:build unix

package cli

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/akslogin/akslogin/internal/envvar"
)

// hasDisplay reports whether this process can show windows to a person.
func hasDisplay() bool {
	if runtime.GOOS == "darwin" { // everything but a remote session can
		return envvar.Get("SSH_CONNECTION") == ""
	}
	return envvar.Get("DISPLAY") != "" || envvar.Get("WAYLAND_DISPLAY") != ""
}

// killOnSignal kills a tool when a signal ends this program. The tool has a process group of its
// own, so a terminal's signals do not reach it.
func killOnSignal(kill func()) (ended func()) {
	received := make(chan os.Signal, 1)
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		if !signal.Ignored(s) { // as SIGHUP is under nohup
			signal.Notify(received, s)
		}
	}
	finished := make(chan struct{})
	go func() {
		s, ok := <-received
		if !ok {
			close(finished)
			return
		}
		kill()
		signal.Reset(s) // to what ends this program
		_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
		select {}
	}()
	return func() {
		signal.Stop(received)
		close(received)
		<-finished // never, if this program is about to end
	}
}
