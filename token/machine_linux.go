package token

import (
	"os"
	"strings"
)

// machineID tells this machine, and this start of it, from others.
func machineID() string {
	id, _ := os.ReadFile(
		"/proc/sys/kernel/random/boot_id",
	) // containers on one machine have it in common
	name, _ := os.Hostname()
	return strings.TrimSpace(string(id)) + " " + name
}
