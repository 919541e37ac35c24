//go:build !linux && !windows && !darwin

package token

import "os"

// machineID identifies this machine by its host name.
func machineID() string {
	name, _ := os.Hostname()
	return name
}
