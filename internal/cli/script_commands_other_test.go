//go:build !linux

package cli

import (
	"os"
	"path/filepath"
)

// Programs and commands that need Linux. Scripts skip what uses them.
var (
	linuxPrograms map[string]func()
	linuxCommands map[string]scriptCommand
)

var systemPath = filepath.Join(os.Getenv("SYSTEMROOT"), "system32")

// isRunning and killFakes need /proc. Fakes end by themselves after half a minute.
func isRunning(int, string) bool { return false }

func killFakes(string) {}
