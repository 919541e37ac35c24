//go:build unix

package process

import (
	"syscall"
)

// FreeDescriptors is how many more files this process can open, counted up to most. It must not be
// called while a program is started, which would inherit what is open for a moment here.
func FreeDescriptors(most int) (room int) {
	for ; room < most; room++ {
		fd, err := syscall.Dup(2)
		if err == syscall.EMFILE {
			return room
		}
		if err == nil {
			defer syscall.Close(fd)
		}
	}
	return room
}
