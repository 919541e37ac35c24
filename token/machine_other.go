//go:build !linux && !windows

package token

import "os"

// machine tells this machine from others.
func machine() string {
	name, _ := os.Hostname()
	return name
}
