//go:build !unix

package kubeconfig

import (
	"io/fs"
	"os"
)

// copyOwnership does nothing. A new file inherits the access control list of its directory, and
// checkReplaceable never lets a read-only file be replaced.
func copyOwnership(*os.File, fs.FileInfo) error { return nil }
