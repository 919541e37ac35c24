package main

import (
	"bufio"
	"debug/buildinfo"
	"fmt"
	"maps"
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

// buildDifferences describes what differs in how two programs were built, apart from the revision.
// It returns nil if nothing does, or if that is not known.
func buildDifferences(program, before string) []string {
	now, err := buildSettings(program)
	if err != nil {
		return nil
	}
	old, err := buildSettings(before)
	if err != nil {
		return nil
	}
	all := maps.Clone(now)
	maps.Copy(all, old)
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if now[name] != old[name] {
			lines = append(lines, fmt.Sprintf("the -before binary was built with %s=%s instead of %s: "+
				"its values differ for that reason too", name, old[name], now[name]))
		}
	}
	return lines
}

func buildSettings(program string) (map[string]string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{"go": info.GoVersion}
	for _, s := range info.Settings {
		if s.Key != "vcs" && !strings.HasPrefix(s.Key, "vcs.") {
			settings[s.Key] = s.Value
		}
	}
	return settings, nil
}
