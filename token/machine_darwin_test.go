package token

import (
	"regexp"
	"testing"
)

// The ID is that of the boot, and not the host name, which changes with the network.
func TestMachineIDIsOfTheBoot(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	if id := machineID(); !uuid.MatchString(id) {
		t.Errorf("%q is no UUID", id)
	}
}
