package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// missing skips a test for what this machine lacks. Where AKSLOGIN_TEST_CLIENTS=required, as in CI,
// that is a failure.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}

// tool runs a program that need not be installed, and returns its output.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "%s is not installed", name)
	}
	return mustRun(t, exec.Command(path, args...))
}

// mustRun runs a command and returns its standard output.
func mustRun(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, stderr.String())
	}
	return string(out)
}

// unpackTar writes an archive's files below dir, with the modes that it has.
func unpackTar(t *testing.T, data []byte, dir string) {
	t.Helper()
	headers, contents := untar(t, data)
	unpack(t, headers, contents, dir)
}

func unpack(t *testing.T, headers []*tar.Header, contents map[string][]byte, dir string) {
	t.Helper()
	for _, h := range headers {
		if !filepath.IsLocal(h.Name) {
			t.Fatalf("%s is outside of the archive", h.Name)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		mode := h.FileInfo().Mode()
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil && mode.IsDir() {
			err = os.MkdirAll(path, 0o755)
		} else if err == nil {
			err = os.WriteFile(path, contents[h.Name], 0o600)
		}
		if err == nil {
			err = os.Chmod(path, mode.Perm()|mode&fs.ModeSticky)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// An ociImage is an unpacked OCI layout.
type ociImage struct{ dir string }

// An ociDescriptor is what tests use of descriptors, manifests, indexes and configurations.
type ociDescriptor struct {
	Digest    string
	MediaType string
	Platform  struct{ OS, Architecture string }
	Manifests []ociDescriptor
	Config    *ociDescriptor
	Layers    []ociDescriptor
}

func (o ociImage) blob(t *testing.T, d ociDescriptor) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(o.dir, "blobs", filepath.FromSlash(strings.Replace(d.Digest, ":", "/", 1))))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// manifest returns the manifest for an architecture.
func (o ociImage) manifest(t *testing.T, arch string) ociDescriptor {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(o.dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	decode := func(raw []byte) (d ociDescriptor) {
		if err := json.Unmarshal(raw, &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	index := decode(o.blob(t, decode(raw).Manifests[0]))
	i := slices.IndexFunc(index.Manifests, func(d ociDescriptor) bool {
		return d.Platform.OS == "linux" && d.Platform.Architecture == arch
	})
	if i < 0 {
		t.Fatalf("no image for %s in %+v", arch, index)
	}
	return decode(o.blob(t, index.Manifests[i]))
}

// layer returns the only layer of the image for an architecture.
func (o ociImage) layer(t *testing.T, arch string) ([]*tar.Header, map[string][]byte) {
	t.Helper()
	m := o.manifest(t, arch)
	if len(m.Layers) != 1 {
		t.Fatalf("%d layers", len(m.Layers))
	}
	return untar(t, o.blob(t, m.Layers[0]))
}

// config returns the configuration of the image for an architecture.
func (o ociImage) config(t *testing.T, arch string) (c struct {
	Config struct {
		User       string
		Entrypoint []string
		Env        []string
		Labels     map[string]string
	}
}) {
	t.Helper()
	if err := json.Unmarshal(o.blob(t, *o.manifest(t, arch).Config), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// distFile returns the content of the only file of the release whose name matches.
func distFile(t *testing.T, pattern string) (path string) {
	t.Helper()
	dir := os.Getenv("AKSLOGIN_DIST")
	if dir == "" {
		t.Skip("make dist-check tests a release: AKSLOGIN_DIST is its folder")
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// distRelease returns the release in AKSLOGIN_DIST.
func distRelease(t *testing.T) release {
	t.Helper()
	name := filepath.Base(distFile(t, "akslogin_*_oci.tar"))
	version := strings.TrimSuffix(strings.TrimPrefix(name, "akslogin_"), "_oci.tar")
	r, err := parseVersion("v" + version)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
	return r
}
