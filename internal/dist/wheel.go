package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// wheels makes a Python wheel for each target that has one. It installs the program as a script,
// and no Python code: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
func (b *builder) wheels() (made []file, err error) {
	for _, t := range targets {
		if len(t.wheel) == 0 {
			continue
		}
		name := fmt.Sprintf("%s-%s-py3-none-%s.whl",
			programName, b.release.python(), strings.Join(t.wheel, "."))
		data, err := zipped(b.release.time, b.wheelContent(t))
		if err != nil {
			return nil, err
		}
		made = append(made, file{name: name, data: data})
	}
	return made, nil
}

func (b *builder) wheelContent(t target) []file {
	stem := programName + "-" + b.release.python()
	info := stem + ".dist-info/"
	program, license, thirdParty := b.programs[t.String()], b.docs.license, b.licenseText
	program.name = stem + ".data/scripts/" + program.name
	license.name, thirdParty.name = info+"licenses/"+license.name, info+"licenses/"+thirdParty.name
	content := []file{
		program,
		{info + "METADATA", 0o644, b.wheelMetadata()},
		{info + "WHEEL", 0o644, wheelTags(t)},
		license,
		thirdParty,
	}
	return append(content, wheelRecord(info+"RECORD", content))
}

func (b *builder) wheelMetadata() []byte {
	return fmt.Appendf(nil, `Metadata-Version: 2.4
Name: %s
Version: %s
Summary: %s
License-Expression: %s
License-File: %s
License-File: %s
Project-URL: Source, %s
Description-Content-Type: text/markdown

%s`, programName, b.release.python(), summary, license, b.docs.license.name, b.licenseText.name,
		homepage, b.docs.readme.data)
}

func wheelTags(t target) []byte {
	out := []byte("Wheel-Version: 1.0\nGenerator: akslogin-dist\nRoot-Is-Purelib: false\n")
	for _, tag := range t.wheel {
		out = fmt.Appendf(out, "Tag: py3-none-%s\n", tag)
	}
	return out
}

// wheelRecord lists the files with their hashes, and itself without.
func wheelRecord(name string, files []file) file {
	var b strings.Builder
	for _, f := range files {
		sum := sha256.Sum256(f.data)
		fmt.Fprintf(&b, "%s,sha256=%s,%d\n",
			f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.data))
	}
	fmt.Fprintf(&b, "%s,,\n", name)
	return file{name, 0o644, []byte(b.String())}
}
