package kubeconfig

import "golang.org/x/sys/unix"

// exchange exchanges two files atomically. Not every file system can.
func exchange(a, b string) error { return unix.RenamexNp(a, b, unix.RENAME_SWAP) }
