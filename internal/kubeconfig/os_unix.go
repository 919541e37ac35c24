//go:build unix

package kubeconfig

import (
	"io/fs"
	"os"
	"syscall"
)

// hardLinks returns how many names a file has.
func hardLinks(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// copyAccess gives f the mode of another file, and its owner and group as far as this process
// may. If the group cannot be kept, f gets no group permissions: they would go to another group.
func copyAccess(f *os.File, _ string, from fs.FileInfo) error {
	mode := from.Mode().Perm()
	if st, ok := from.Sys().(*syscall.Stat_t); ok {
		if f.Chown(int(st.Uid), int(st.Gid)) != nil && f.Chown(-1, int(st.Gid)) != nil {
			mode &^= 0o070
		}
	}
	return f.Chmod(mode)
}
