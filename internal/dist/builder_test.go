package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// newBuilder returns a builder whose programs and documents are made up.
func newBuilder(t *testing.T, tag string) *builder {
	t.Helper()
	r, err := parseVersion(tag)
	if err != nil {
		t.Fatal(err)
	}
	r.commit, r.time = strings.Repeat("c0ffee00", 5), time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
	b := &builder{release: r, work: t.TempDir(), programs: map[string]file{}}
	for _, target := range targets {
		data := bytes.Repeat([]byte("program for "+target.String()+"\n"), 1000)
		b.programs[target.String()] = file{target.program(), 0o755, data}
	}
	text := func(name string) file { return file{name, 0o644, []byte("content of " + name + "\n")} }
	b.docs = documents{
		readme: text("README.md"), license: text("LICENSE"), man: text("man/akslogin.1"),
		bash: text("completions/akslogin.bash"), zsh: text("completions/_akslogin"),
		fish: text("completions/akslogin.fish"), power: text("completions/akslogin.ps1"),
	}
	b.licenseText = text("THIRD_PARTY_LICENSES")
	b.modules = []goModule{
		{"example.com/a", "v1.0.0", map[string]string{"LICENSE": "Apache License, Version 2.0"}},
		{"std", "1.26.0", map[string]string{"LICENSE": "endorse or promote products derived"}},
	}
	return b
}

// Two builders make the same bytes: in other folders, at another time, whatever the environment.
func TestSameBytes(t *testing.T) {
	build := func() map[string][]byte {
		b, made := newBuilder(t, "v0.1.0"), map[string][]byte{}
		var files []file
		for _, step := range []func() ([]file, error){
			b.archives, b.packages, b.wheels, b.image, b.billOfMaterials,
			func() ([]file, error) { return manifests(b.release, files) },
		} {
			more, err := step()
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, more...)
		}
		for _, f := range files {
			made[f.name] = f.data
		}
		return made
	}
	first := build()
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	t.Setenv("TZ", "Pacific/Auckland")
	for name, data := range build() {
		if !bytes.Equal(data, first[name]) {
			t.Errorf("%s is not the same", name)
		}
	}
	if len(first) != 7+9+6+1+1+6 {
		t.Errorf("%d files", len(first))
	}
}

// untar returns the headers and contents of an archive, which may be compressed.
func untar(t *testing.T, data []byte) (headers []*tar.Header, contents map[string][]byte) {
	t.Helper()
	var from io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		unzipped, err := gzip.NewReader(from)
		if err != nil {
			t.Fatal(err)
		}
		from = unzipped // an apk is several in a row
	}
	contents = map[string][]byte{}
	for reader := tar.NewReader(from); ; {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		} else if err != nil {
			t.Fatal(err)
		}
		if contents[h.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
	}
}

func TestArchives(t *testing.T) {
	b := newBuilder(t, "v0.1.0")
	files, err := b.archives()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"LICENSE", "README.md", "THIRD_PARTY_LICENSES", "akslogin", "completions/_akslogin",
		"completions/akslogin.bash", "completions/akslogin.fish", "completions/akslogin.ps1",
		"man/akslogin.1",
	}
	for _, f := range files {
		if strings.HasSuffix(f.name, ".zip") {
			continue // wheels are zips too
		}
		headers, contents := untar(t, f.data)
		var names []string
		for _, h := range headers {
			names = append(names, h.Name)
			mode := int64(0o644)
			if h.Name == "akslogin" {
				mode = 0o755
			}
			if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || h.Mode != mode ||
				!h.ModTime.Equal(b.release.time) {
				t.Errorf("%s: %+v", f.name, h)
			}
		}
		target := strings.TrimSuffix(strings.TrimPrefix(f.name, "akslogin_0.1.0_"), ".tar.gz")
		if !slices.Equal(names, want) || !bytes.Equal(contents["akslogin"], b.programs[target].data) {
			t.Errorf("%s: %q", f.name, names)
		}
	}
}

// readZip returns the files of a zip.
func readZip(t *testing.T, data []byte) []*zip.File {
	t.Helper()
	reader, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return reader.File
}

func zipContent(t *testing.T, f *zip.File) []byte {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWheels(t *testing.T) {
	files, err := newBuilder(t, "v0.1.0-rc.1").wheels()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) { checkWheel(t, f.name, f.data) })
	}
}

// checkWheel checks what installers check, and that the wheel installs one executable file.
func checkWheel(t *testing.T, name string, data []byte) {
	parts := strings.Split(strings.TrimSuffix(name, ".whl"), "-")
	if len(parts) != 5 || parts[0] != "akslogin" || parts[2] != "py3" || parts[3] != "none" {
		t.Fatalf("%q", parts)
	}
	stem := parts[0] + "-" + parts[1]
	var executables []string
	content := map[string]string{}
	entries := readZip(t, data)
	for _, entry := range entries {
		content[entry.Name] = string(zipContent(t, entry))
		if !entry.Mode().IsRegular() {
			t.Errorf("%s: %v", entry.Name, entry.Mode())
		}
		if entry.Mode()&0o111 != 0 {
			executables = append(executables, path.Base(entry.Name))
		}
		if !strings.HasPrefix(entry.Name, stem+".data/scripts/akslogin") &&
			!strings.HasPrefix(entry.Name, stem+".dist-info/") {
			t.Errorf("%s is neither the script nor metadata", entry.Name)
		}
	}
	if len(executables) != 1 || !strings.HasPrefix(executables[0], "akslogin") {
		t.Errorf("executables %q", executables)
	}
	if strings.Contains(parts[4], "win") == !strings.HasSuffix(executables[0], ".exe") &&
		!strings.Contains(parts[4], "macosx") {
		t.Errorf("%q for %s", executables, parts[4])
	}
	checkRecord(t, stem+".dist-info/RECORD", content)
	var tags []string
	for line := range strings.Lines(content[stem+".dist-info/WHEEL"]) {
		if tag, ok := strings.CutPrefix(line, "Tag: py3-none-"); ok {
			tags = append(tags, strings.TrimSpace(tag))
		}
	}
	if strings.Join(tags, ".") != parts[4] {
		t.Errorf("tags %q", tags)
	}
	header, _, _ := strings.Cut(content[stem+".dist-info/METADATA"], "\n\n")
	for _, want := range []string{"Name: akslogin\n", "Version: " + parts[1] + "\n"} {
		if !strings.Contains(header, want) {
			t.Errorf("no %q in %s", want, header)
		}
	}
	if last := entries[len(entries)-1].Name; last != stem+".dist-info/RECORD" {
		t.Errorf("the last file is %s", last)
	}
}

// checkRecord checks that RECORD lists every file once, with its hash and size, and itself without.
func checkRecord(t *testing.T, name string, content map[string]string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(content[name])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, row := range rows {
		text, ok := content[row[0]]
		sum := sha256.Sum256([]byte(text))
		want := []string{
			row[0], "sha256=" + base64.RawURLEncoding.EncodeToString(sum[:]), fmt.Sprint(len(text)),
		}
		if row[0] == name {
			want = []string{name, "", ""}
		}
		if !ok || seen[row[0]] || !slices.Equal(row, want) {
			t.Errorf("%q, want %q", row, want)
		}
		seen[row[0]] = true
	}
	if len(seen) != len(content) {
		t.Errorf("%d of %d files", len(seen), len(content))
	}
}
