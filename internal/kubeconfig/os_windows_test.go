package kubeconfig

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/windows"
)

// accessList returns a file's access control list, in Windows' notation (SDDL).
func accessList(t *testing.T, path string) string {
	t.Helper()
	sd, err := windows.GetNamedSecurityInfo(
		path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	return sd.String()
}

// An edited file keeps its own access control list, and does not get that of its directory.
func TestReplaceKeepsTheAccessList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	inherited := accessList(t, path)
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	private, err := windows.SecurityDescriptorFromString(
		"D:P(A;;FA;;;SY)(A;;FA;;;" + user.User.Sid.String() + ")")
	if err != nil {
		t.Fatal(err)
	}
	if err := setAccess(path, private); err != nil {
		t.Fatal(err)
	}
	own := accessList(t, path)
	if own == inherited {
		t.Fatalf("the file's list is still %s", own)
	}
	if err := Replace(t.Context(), path, []byte("old"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := accessList(t, path); got != own {
		t.Errorf("the list is %s, want %s", got, own)
	}
}
