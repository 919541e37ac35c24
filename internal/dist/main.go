// Dist makes the files of a release from a commit: archives, packages, Python wheels, a container
// image, a bill of materials, and manifests for package managers. make dist runs it:
//
//	dist -version v0.1.0 -out FOLDER go build FLAGS...
//
// The arguments are the command that builds the program; dist adds the target and the output file.
// The files depend on nothing but the commit, the version and the Go toolchain: not on the time,
// the folder, the user or the machine. It is a module of its own, so that what it imports does not
// choose the versions that the program is built with.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

func main() {
	version := flag.String("version", "", "the release's `TAG`, such as v0.1.0 or v0.1.0-rc.1")
	out := flag.String("out", "", "the `FOLDER` to make; one of that name is replaced")
	flag.Parse()
	if err := run(*version, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "dist: error:", err)
		os.Exit(1)
	}
}

func run(version, out string, build []string) error {
	r, err := parseVersion(version)
	if err != nil {
		return err
	}
	if out == "" || len(build) == 0 {
		return errors.New("-out and the build command are required: make dist passes them")
	}
	work, err := os.MkdirTemp("", "akslogin-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := &builder{release: r, command: build, source: filepath.Join(work, "source"), work: work}
	if b.release.commit, b.release.time, err = checkout(b.source, r.tag); err != nil {
		return err
	}
	files, err := b.all()
	if err != nil {
		return err
	}
	return writeFolder(out, append(files, checksums(files)))
}

// all makes the files of the release, without their checksums.
func (b *builder) all() (made []file, err error) {
	b.start = time.Now()
	for _, step := range []struct {
		name string
		make func() ([]file, error)
	}{
		{"binaries", b.binaries},
		{"licenses", b.licenses},
		{"documents", b.documents},
		{"archives", b.archives},
		{"packages", b.packages},
		{"wheels", b.wheels},
		{"image", b.image},
		{"bill of materials", b.billOfMaterials},
		{"manifests", func() ([]file, error) { return manifests(b.release, made) }},
	} {
		files, err := step.make()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		made = append(made, files...)
		fmt.Fprintf(os.Stderr, "dist: %6.1f s %s\n", time.Since(b.start).Seconds(), step.name)
	}
	slices.SortFunc(made, byName)
	return made, nil
}

// writeFolder replaces the folder by one with these files. A folder of that name is only removed
// once the new one is whole.
func writeFolder(folder string, files []file) error {
	partial := folder + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(partial, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, 0o644); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return os.Rename(partial, folder)
}
