//go:build unix

package main

import "syscall"

// noWaiting opens a pipe that nobody reads with an error, and not when somebody does.
const noWaiting = syscall.O_NONBLOCK
