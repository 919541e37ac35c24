package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/xeipuuv/gojsonschema"
	"go.yaml.in/yaml/v3"
)

func TestLicenses(t *testing.T) {
	const bsd2 = "Redistribution and use in source\nand binary forms"
	for _, c := range []struct {
		name, text, want string
	}{
		{"LICENSE", "Apache License\n   Version 2.0, January 2004", "Apache-2.0"},
		{"LICENSE", "Licensed under the Apache License, Version 2.0", "Apache-2.0"},
		{"COPYING", "Permission is hereby granted, free of charge, to any", "MIT"},
		{"sub/LICENSE.md", bsd2 + " ... endorse or promote products derived from", "BSD-3-Clause"},
		{"LICENSE", bsd2, "BSD-2-Clause"},
		{"LICENSE", "Permission is hereby granted, free of charge. Apache License, version 2.0", "Apache-2.0 MIT"},
		{"LICENSE", "GNU General Public License", ""},
		{"NOTICE", "Copyright", ""}, // a notice alone is no license
	} {
		m := goModule{"example.com/m", "v1.0.0", map[string]string{c.name: c.text}}
		ids, err := m.licenseIDs()
		if got := strings.Join(ids, " "); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %q: %q, %v; want %q", c.name, c.text, got, err, c.want)
		}
	}
}

// Roots that Entra ID's certificates have led to are among the image's.
func TestTrustedRoots(t *testing.T) {
	var names []string
	for rest := trustedRoots(); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatalf("no PEM: %q", rest)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !c.IsCA {
			t.Errorf("%s is no CA", c.Subject)
		}
		names = append(names, c.Subject.CommonName)
	}
	for _, want := range []string{
		"DigiCert Global Root G2", "DigiCert Global Root G3",
		"Microsoft RSA Root Certificate Authority 2017", "Microsoft ECC Root Certificate Authority 2017",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s", want)
		}
	}
	if len(names) < 100 {
		t.Errorf("only %d roots", len(names))
	}
}

func TestImage(t *testing.T) {
	b := newBuilder(t, "v0.1.0")
	files, err := b.image()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpackTar(t, files[0].data, dir)
	checkLayout(t, dir, "0.1.0")
	image := ociImage{dir}
	for _, target := range targets {
		if !target.image {
			continue
		}
		headers, contents := image.layer(t, target.arch)
		var names []string
		for _, h := range headers {
			names = append(names, strings.TrimPrefix(h.FileInfo().Mode().String(), "-")+" "+h.Name)
		}
		want := []string{
			"drwxr-xr-x etc/", "drwxr-xr-x etc/ssl/", "drwxr-xr-x etc/ssl/certs/",
			"rw-r--r-- etc/ssl/certs/ca-certificates.crt", "dtrwxrwxrwx tmp/", "drwxr-xr-x usr/",
			"drwxr-xr-x usr/local/", "drwxr-xr-x usr/local/bin/", "rwxr-xr-x usr/local/bin/akslogin",
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %q", target, names)
		}
		if !bytes.Equal(contents[imageProgram], b.programs[target.String()].data) {
			t.Errorf("%s has another program", target)
		}
	}
}

// checkLayout validates all digests, sizes and media types of a layout, and its labels.
func checkLayout(t *testing.T, dir, version string) {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 ||
		manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != version {
		t.Errorf("%+v", manifest.Manifests)
	}
}

// checkBillOfMaterials validates a bill of materials against CycloneDX's own schema.
func checkBillOfMaterials(t *testing.T, data []byte) {
	t.Helper()
	dir, err := output(".", nil, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	if err != nil {
		t.Fatal(err)
	}
	loader := gojsonschema.NewSchemaLoader()
	for _, name := range []string{"spdx.schema.json", "jsf-0.82.schemax.json"} {
		if raw, err := os.ReadFile(filepath.Join(dir, "schema", name)); err == nil {
			url := "http://cyclonedx.org/schema/" + strings.Replace(name, "schemax", "schema", 1)
			if err := loader.AddSchema(url, gojsonschema.NewBytesLoader(raw)); err != nil {
				t.Fatal(err)
			}
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "schema", "bom-1.6.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := loader.Compile(gojsonschema.NewBytesLoader(raw))
	if err != nil {
		t.Fatal(err)
	}
	result, err := schema.Validate(gojsonschema.NewBytesLoader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range result.Errors() {
		t.Error(e)
	}
}

func TestBillOfMaterials(t *testing.T) {
	files, err := newBuilder(t, "v0.1.0").billOfMaterials()
	if err != nil {
		t.Fatal(err)
	}
	checkBillOfMaterials(t, files[0].data)
}

// packageVersions returns the versions of the packages of a release, by extension.
func packageVersions(t *testing.T, tag string) map[string]string {
	t.Helper()
	files, err := newBuilder(t, tag).packages()
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, f := range files {
		extension := filepath.Ext(f.name)
		path := filepath.Join(t.TempDir(), f.name)
		write(t, path, string(f.data))
		var out string
		switch extension {
		case ".deb":
			out = tool(t, "dpkg-deb", "--field", path, "Version")
		case ".rpm":
			out = tool(t, "rpm", "-qp", "--qf", "%{VERSION}", path)
		case ".apk":
			_, contents := untar(t, f.data)
			out = regexp.MustCompile(`(?m)^pkgver = (.*)$`).FindStringSubmatch(string(contents[".PKGINFO"]))[1]
		}
		versions[extension] = strings.TrimSpace(out)
	}
	return versions
}

func TestPackageVersions(t *testing.T) {
	for _, c := range []struct{ tag, deb, rpm, apk string }{
		{"v0.1.0", "0.1.0", "0.1.0", "0.1.0"},
		{"v0.1.0-rc.1", "0.1.0~rc.1", "0.1.0~rc.1", "0.1.0_rc1"},
	} {
		got := packageVersions(t, c.tag)
		if got[".deb"] != c.deb || got[".rpm"] != c.rpm || got[".apk"] != c.apk {
			t.Errorf("%s: %v", c.tag, got)
		}
	}
}

func TestManifests(t *testing.T) {
	b := newBuilder(t, "v0.1.0")
	archives, err := b.archives()
	if err != nil {
		t.Fatal(err)
	}
	files, err := manifests(b.release, archives)
	if err != nil {
		t.Fatal(err)
	}
	checkManifests(t, b.release, files, append(archives, checksums(archives)))
}

var (
	anyAddress = regexp.MustCompile(`https://github.com/akslogin/akslogin/releases/download/[^"\s]*`)
	anySum     = regexp.MustCompile(`\b[0-9a-fA-F]{64}\b`)
)

// checkManifests checks that the manifests parse, and that each address of an archive stands right
// before the archive's sum.
func checkManifests(t *testing.T, r release, manifests, files []file) {
	t.Helper()
	last := files[slices.IndexFunc(files, func(f file) bool { return f.name == "checksums.txt" })]
	sums := map[string]string{}
	for line := range strings.Lines(string(last.data)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[r.url(name)] = sum
	}
	wantAddresses := map[string]int{".rb": 5, ".yaml": 7, ".json": 2}
	for _, f := range manifests {
		text := string(f.data)
		want := wantAddresses[filepath.Ext(f.name)]
		if strings.HasPrefix(f.name, "winget/") {
			want = strings.Count(f.name, ".installer.") * 2
		}
		var found int
		for _, at := range anyAddress.FindAllStringIndex(text, -1) {
			address := text[at[0]:at[1]]
			if strings.Contains(address, "$version") {
				continue
			}
			found++
			if sum := anySum.FindString(text[at[1]:]); sums[address] == "" || sum != sums[address] {
				t.Errorf("%s: %s has the sum %s, want %s", f.name, address, sum, sums[address])
			}
		}
		if found != want {
			t.Errorf("%s: %d addresses, want %d", f.name, found, want)
		}
		switch filepath.Ext(f.name) {
		case ".json":
			if !json.Valid(f.data) {
				t.Errorf("%s is no JSON", f.name)
			}
		case ".yaml":
			if err := yaml.Unmarshal(f.data, new(map[string]any)); err != nil {
				t.Errorf("%s: %v", f.name, err)
			}
		case ".rb":
			if ruby, err := exec.LookPath("ruby"); err == nil {
				path := filepath.Join(t.TempDir(), filepath.Base(f.name))
				write(t, path, text)
				tool(t, ruby, "-c", path)
			}
		}
	}
}
