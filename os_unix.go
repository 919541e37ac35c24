//go:build unix

package main

import "golang.org/x/sys/unix"

// noWaiting opens a pipe that nobody reads with an error, and not when somebody does.
const noWaiting = unix.O_NONBLOCK
