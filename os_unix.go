//go:build unix

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/akslogin/akslogin/token"
)

// descriptors are what a login needs at once: Go's runtime two, then lock, temporary file, connections, a resolver's.
const descriptors = 8

// roomForFiles says when fewer can be opened. Go's runtime would die of it with a page of stacks, or the cache's lock take the last one.
func roomForFiles() error {
	for room := range descriptors {
		fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 0)
		if errors.Is(err, unix.EMFILE) {
			return &token.FailedError{
				Text: fmt.Sprintf("this process may open %d more files, and a login needs %d", room, descriptors),
				Hint: "raise the limit of open files (ulimit -n), or close what the program that starts this one leaves open",
			}
		}
		if err == nil {
			defer unix.Close(fd)
		}
	}
	return nil
}

// noWaiting opens a pipe that nobody reads with an error, and not when somebody does.
const noWaiting = unix.O_NONBLOCK
