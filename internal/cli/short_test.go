package cli

import "testing"

// skipIfShort skips a test that takes long. make test leaves it out; make check and CI run it.
func skipIfShort(t *testing.T, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: " + why)
	}
}
