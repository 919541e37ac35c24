package token

import (
	"os"
	"syscall"
)

// machineID identifies this machine until the next boot. The host name may change with the network,
// so it is used only if the ID cannot be read.
func machineID() string {
	if id, err := syscall.Sysctl("kern.bootsessionuuid"); err == nil && id != "" {
		return id
	}
	name, _ := os.Hostname()
	return name
}
