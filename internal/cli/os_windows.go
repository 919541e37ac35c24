package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// hasDisplay reports whether this process can show windows to a person. Services and remote shells
// run in session 0, which has no desktop.
func hasDisplay() bool {
	var session uint32
	err := windows.ProcessIdToSessionId(uint32(os.Getpid()), &session)
	return err == nil && session != 0
}

// killOnSignal does nothing: a tool runs in a job object, which ends with this program.
func killOnSignal(func()) (ended func()) { return func() {} }
