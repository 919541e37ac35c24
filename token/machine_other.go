//go:build !linux && !windows

package token

import (
	"os"
)

// machineID tells this machine from others.
func machineID() string {
	name, _ := os.Hostname()
	return name
}
