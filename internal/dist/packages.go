package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/apk"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"
)

// A packageFormat is a format of Linux distributions.
type packageFormat struct {
	nfpm.Packager
	extension  string
	zsh        string // the folder of completions for zsh
	prerelease string // formats the stage and number of a pre-release
}

// packageFormats all sort a pre-release before its release.
var packageFormats = []packageFormat{
	{deb.Default, ".deb", "/usr/share/zsh/vendor-completions/", "%s.%s"},
	{rpm.DefaultRPM, ".rpm", "/usr/share/zsh/site-functions/", "%s.%s"},
	{apk.Default, ".apk", "/usr/share/zsh/site-functions/", "%s%s"},
}

// packages makes a deb, an rpm and an apk for each target that has packages. They are not signed.
func (b *builder) packages() (made []file, err error) {
	man, err := gzipped(func(w io.Writer) error {
		_, err := w.Write(b.docs.man.data)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if !t.packages {
			continue
		}
		for _, format := range packageFormats {
			info, err := b.packageInfo(t, format, man)
			if err != nil {
				return nil, err
			}
			var data bytes.Buffer
			if err := format.Package(info, &data); err != nil {
				return nil, err
			}
			name := fmt.Sprintf("%s_%s_%s%s", programName, b.release.version(), t, format.extension)
			made = append(made, file{name: name, data: data.Bytes()})
		}
	}
	return made, nil
}

func (b *builder) packageInfo(t target, format packageFormat, man []byte) (*nfpm.Info, error) {
	const doc = "/usr/share/doc/akslogin/"
	copyright := fmt.Appendf(nil, "%s\n%s", b.docs.license.data, b.licenseText.data)
	contents, err := b.stage(filepath.Join(b.work, t.String()+format.extension), []file{
		{"/usr/bin/akslogin", 0o755, b.programs[t.String()].data},
		{"/usr/share/man/man1/akslogin.1.gz", 0o644, man},
		{"/usr/share/bash-completion/completions/akslogin", 0o644, b.docs.bash.data},
		{format.zsh + "_akslogin", 0o644, b.docs.zsh.data},
		{"/usr/share/fish/vendor_completions.d/akslogin.fish", 0o644, b.docs.fish.data},
		{doc + "README.md", 0o644, b.docs.readme.data},
		{doc + "copyright", 0o644, copyright},
	})
	if err != nil {
		return nil, err
	}
	info := &nfpm.Info{
		Name: programName, Arch: t.arch, Platform: t.os, Section: "utils", Priority: "optional",
		Maintainer: maintainer, Vendor: "akslogin", Description: summary + "\n" + description,
		Homepage: homepage, License: license, MTime: b.release.time, DisableGlobbing: true,
		Version: b.release.number, VersionSchema: "none",
		Overridables: nfpm.Overridables{
			Contents: contents,
			// The name of the machine would be part of the package.
			RPM: nfpm.RPM{BuildHost: "localhost", Summary: summary},
		},
	}
	if t.arch == "arm" {
		info.Arch = "arm" + goarm
	}
	if b.release.stage != "" {
		info.Prerelease = fmt.Sprintf(format.prerelease, b.release.stage, b.release.count)
	}
	return nfpm.WithDefaults(info), nil
}

// stage writes the files below dir, where nfpm reads them.
func (b *builder) stage(dir string, content []file) (contents files.Contents, err error) {
	for _, f := range content {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, f.data, 0o644); err != nil {
			return nil, err
		}
		contents = append(contents, &files.Content{
			Source: path, Destination: f.name,
			FileInfo: &files.ContentFileInfo{
				Owner: "root", Group: "root", Mode: f.mode, MTime: b.release.time,
			},
		})
	}
	return contents, nil
}
