package token

import (
	"os"
	"strings"
)

// machineID identifies this machine or container until the next boot.
func machineID() string {
	// Containers on one machine share the boot ID and differ in their host name.
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	name, _ := os.Hostname()
	return strings.TrimSpace(string(id)) + " " + name
}
