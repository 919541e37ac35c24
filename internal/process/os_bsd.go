//go:build unix && !linux

package process

const maxCoreFile = 0

// DisableCoreDumps keeps the system from writing this process's memory, which holds secrets, to a
// core file, also with GOTRACEBACK=crash. Programs that it starts inherit the limit.
func DisableCoreDumps() { limitCoreFile() }
