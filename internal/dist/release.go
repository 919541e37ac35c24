package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	programName = "akslogin"
	module      = "github.com/akslogin/akslogin"
	homepage    = "https://" + module
	summary     = "Exec credential plugin for AKS that signs in to Microsoft Entra ID"
	description = "kubectl and other clients run akslogin as an exec credential plugin.\n" +
		"It signs in to Microsoft Entra ID with a workload identity or by any other\n" +
		"login method of kubelogin, caches the token encrypted on disk, and prints it."
	maintainer = "akslogin maintainers <akslogin@users.noreply.github.com>"
	license    = "Apache-2.0"
)

// A release is a version of a commit.
type release struct {
	tag    string // v0.1.0-rc.1
	number string // 0.1.0
	stage  string // "", or the stage of a pre-release: alpha, beta or rc
	count  string // the number of the pre-release
	commit string
	time   time.Time // of the commit, in UTC
}

// versionPattern matches what all package formats can express: a pre-release has a stage and a
// number.
var versionPattern = regexp.MustCompile(
	`^v((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*))(?:-(alpha|beta|rc)\.(0|[1-9]\d*))?$`)

func parseVersion(tag string) (release, error) {
	m := versionPattern.FindStringSubmatch(tag)
	if m == nil {
		return release{}, fmt.Errorf(
			"version %q is not valid: want v0.1.0, or v0.1.0-rc.1 for a pre-release (alpha, beta, rc)", tag)
	}
	return release{tag: tag, number: m[1], stage: m[2], count: m[3]}, nil
}

// version returns the version without the tag's v, as in the names of files.
func (r release) version() string { return strings.TrimPrefix(r.tag, "v") }

// python returns the version as PEP 440 writes it: 0.1.0rc1.
func (r release) python() string {
	stages := map[string]string{"alpha": "a", "beta": "b", "rc": "rc"}
	return r.number + stages[r.stage] + r.count
}

// url returns the address of one of the release's files.
func (r release) url(name string) string {
	return homepage + "/releases/download/" + r.tag + "/" + name
}

// checkout clones the commit that the current repository is at into dir, and tags the clone with
// the release's version alone. So the version that Go records in the binary depends neither on the
// tags of the repository nor on files that are not part of the commit.
func checkout(dir, tag string) (commit string, at time.Time, err error) {
	root, err := git(".", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", at, err
	}
	changes, err := git(root, "status", "--porcelain")
	if err != nil {
		return "", at, err
	}
	if changes != "" {
		return "", at, fmt.Errorf("the work tree is not clean: %s has changes that are not committed "+
			"(commit or stash them: a release is built from a commit alone)\n%s", root, changes)
	}
	var seconds string
	for _, step := range []struct {
		out  *string
		args []string
	}{
		{new(string), []string{"clone", "--quiet", "--no-tags", root, dir}},
		{&commit, []string{"-C", dir, "rev-parse", "HEAD"}},
		{&seconds, []string{"-C", dir, "log", "-1", "--format=%ct"}},
		{new(string), []string{"-C", dir, "update-ref", "refs/tags/" + tag, "HEAD"}},
	} {
		if *step.out, err = git(root, step.args...); err != nil {
			return "", at, err
		}
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	return commit, time.Unix(n, 0).UTC(), err
}

func git(dir string, args ...string) (string, error) { return output(dir, nil, "git", args...) }

// output runs a command in dir, with these variables set, and returns what it prints, without the
// last line break.
func output(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			stderr = bytes.TrimSpace(exit.Stderr)
		}
		return "", fmt.Errorf("%s: %w: %s", cmd, err, stderr)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
