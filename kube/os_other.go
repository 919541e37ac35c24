//go:build !unix

package kube

import (
	"io/fs"
	"os"
)

// inherit does nothing: a new file has the access list of its folder, and a read-only one is never replaced.
func inherit(*os.File, fs.FileInfo) error { return nil }
