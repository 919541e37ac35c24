//go:build unix

package kubeconfig

import (
	"io/fs"
	"os"
	"syscall"
)

// copyOwnership gives a file the owner, group and mode of another, as far as this user may. A group
// that cannot be kept loses its rights: they would go to another one.
func copyOwnership(f *os.File, from fs.FileInfo) error {
	mode := from.Mode().Perm()
	if st, ok := from.Sys().(*syscall.Stat_t); ok {
		if f.Chown(int(st.Uid), int(st.Gid)) != nil && f.Chown(-1, int(st.Gid)) != nil {
			mode &^= 0o070
		}
	}
	return f.Chmod(mode)
}
