package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A target is a system that the program is built for.
type target struct {
	os, arch string   // GOOS and GOARCH
	wheel    []string // the platform tags of its wheel; none without a wheel
	packages bool     // deb, rpm and apk
	image    bool     // in the container image
}

// targets are all systems of a release. Go 1.26 needs macOS 12. The binary is static, so one wheel
// is for every C library; the tags name the oldest releases for which pip knows tags of this form.
var targets = []target{
	{os: "linux", arch: "amd64", wheel: linuxTags("x86_64"), packages: true, image: true},
	{os: "linux", arch: "arm64", wheel: linuxTags("aarch64"), packages: true, image: true},
	{os: "linux", arch: "arm", packages: true},
	{os: "darwin", arch: "amd64", wheel: []string{"macosx_12_0_x86_64"}},
	{os: "darwin", arch: "arm64", wheel: []string{"macosx_12_0_arm64"}},
	{os: "windows", arch: "amd64", wheel: []string{"win_amd64"}},
	{os: "windows", arch: "arm64", wheel: []string{"win_arm64"}},
}

func linuxTags(machine string) []string {
	return []string{"manylinux_2_17_" + machine, "manylinux2014_" + machine, "musllinux_1_1_" + machine}
}

// goarm is the version of the ARM architecture for 32-bit ARM.
const goarm = "7"

// String returns the target as the names of files have it: linux_armv7.
func (t target) String() string {
	if t.arch == "arm" {
		return t.os + "_armv" + goarm
	}
	return t.os + "_" + t.arch
}

// program returns the name of the binary.
func (t target) program() string {
	if t.os == "windows" {
		return programName + ".exe"
	}
	return programName
}

// env are the variables that decide how Go builds for the target. A user's own settings must not.
func (t target) env() []string {
	return []string{
		"GOOS=" + t.os, "GOARCH=" + t.arch, "GOARM=" + goarm, "GOAMD64=v1", "GOARM64=v8.0",
		"CGO_ENABLED=0", "GOFIPS140=off", "GOFLAGS=-mod=readonly", "GOWORK=off",
	}
}

// A file is one of the release, or one in an archive, package, wheel or image.
type file struct {
	name string // with slashes
	mode os.FileMode
	data []byte
}

func byName(a, b file) int { return strings.Compare(a.name, b.name) }

// A builder makes a release. Its steps run in the order of their fields.
type builder struct {
	release release
	command []string // builds the program for the system of the environment
	source  string   // a clone of the commit
	work    string   // a temporary folder
	start   time.Time

	programs    map[string]file // by target
	modules     []goModule      // that are part of a program
	licenseText file
	docs        documents
}

// documents are the files that come with the program.
type documents struct {
	readme, license, man   file
	bash, zsh, fish, power file // completions
}

// binaries builds the program for each target.
func (b *builder) binaries() ([]file, error) {
	b.programs = map[string]file{}
	for _, t := range targets {
		path := filepath.Join(b.work, t.String())
		args := append(slices.Clone(b.command[1:]), "-o", path, ".")
		if _, err := output(b.source, t.env(), b.command[0], args...); err != nil {
			return nil, err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		b.programs[t.String()] = file{t.program(), 0o755, data}
	}
	return nil, nil
}

// documents collects the files that come with the program. The program for this machine writes
// the completions.
func (b *builder) documents() ([]file, error) {
	host := slices.IndexFunc(targets, func(t target) bool {
		return t.os == runtime.GOOS && t.arch == runtime.GOARCH
	})
	if host < 0 {
		return nil, fmt.Errorf("%s/%s is not one of the targets", runtime.GOOS, runtime.GOARCH)
	}
	program := filepath.Join(b.work, targets[host].String())
	env := append(targets[host].env(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.release.time.Unix()))
	d := &b.docs
	for _, c := range []struct {
		into    *file
		name    string
		command []string
	}{
		{&d.readme, "README.md", nil},
		{&d.license, "LICENSE", nil},
		{&d.man, "man/akslogin.1", []string{b.command[0], "run", "./internal/man"}},
		{&d.bash, "completions/akslogin.bash", []string{program, "completion", "bash"}},
		{&d.zsh, "completions/_akslogin", []string{program, "completion", "zsh"}},
		{&d.fish, "completions/akslogin.fish", []string{program, "completion", "fish"}},
		{&d.power, "completions/akslogin.ps1", []string{program, "completion", "powershell"}},
	} {
		*c.into = file{name: c.name, mode: 0o644}
		if c.command == nil {
			data, err := os.ReadFile(filepath.Join(b.source, c.name))
			if err != nil {
				return nil, err
			}
			c.into.data = data
			continue
		}
		text, err := output(b.source, env, c.command[0], c.command[1:]...)
		if err != nil {
			return nil, err
		}
		c.into.data = []byte(text + "\n")
	}
	return nil, nil
}
