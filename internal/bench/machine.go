package main

import (
	"bufio"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// machine describes the machine and its operating system.
func machine() string {
	kernel := ""
	if raw, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(raw))
	}
	return fmt.Sprintf("%d CPUs (%s), %s %s", runtime.NumCPU(), cpuModel(), runtime.GOOS, kernel)
}

// cpuModel returns the model name of the first CPU, or the architecture if there is none.
func cpuModel() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, model, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

// loadAverage returns the load average of the last minute, or "" if it is not known.
func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	lastMinute, _, _ := strings.Cut(string(raw), " ")
	return lastMinute
}

// buildOf describes what a program was built from: module, version, Go version and revision. It
// returns the path of the program if that is not known.
func buildOf(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return program
	}
	words := []string{info.Main.Path, info.Main.Version, info.GoVersion}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			words = append(words, s.Value[:min(12, len(s.Value))])
		}
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}
