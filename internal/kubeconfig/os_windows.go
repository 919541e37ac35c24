package kubeconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// hardLinks returns 1: the number of names is not known here.
func hardLinks(fs.FileInfo) uint64 { return 1 }

// copyAccess gives f the access control list of the file at path, since a new file inherits that of
// its directory. A file system without access control lists has none to keep.
func copyAccess(f *os.File, path string, _ fs.FileInfo) error {
	const which = windows.DACL_SECURITY_INFORMATION
	from, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, which)
	if errors.Is(err, windows.ERROR_NOT_SUPPORTED) || errors.Is(err, windows.ERROR_INVALID_FUNCTION) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the access control list of %s: %w", path, err)
	}
	const autoInherited, request = windows.SE_DACL_AUTO_INHERITED, windows.SE_DACL_AUTO_INHERIT_REQ
	if control, _, err := from.Control(); err == nil && control&autoInherited != 0 {
		_ = from.SetControl(request, request) // without it, the system drops autoInherited
	}
	if err := setAccess(f.Name(), from); err != nil {
		return fmt.Errorf("keep the access control list of %s: %w", path, err)
	}
	return nil
}

// setAccess gives the file at path a list as it is. SetNamedSecurityInfo would inherit again.
func setAccess(path string, from *windows.SECURITY_DESCRIPTOR) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	const shared = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	h, err := windows.CreateFile(
		name, windows.WRITE_DAC, shared, nil, windows.OPEN_EXISTING, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.SetKernelObjectSecurity(h, windows.DACL_SECURITY_INFORMATION, from)
}
