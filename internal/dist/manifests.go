package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/template"
	"time"
)

// The manifests for package managers. A file templates/x/y.tmpl becomes x/y.
//
//go:embed templates
var manifestTemplates embed.FS

// An asset is the archive of a target.
type asset struct {
	OS, Arch, Program, URL, SHA256 string
}

// assets returns the archives of all targets.
func assets(r release, files []file) (all map[string]asset, err error) {
	all = map[string]asset{}
	for _, t := range targets {
		prefix := fmt.Sprintf("%s_%s_%s.", programName, r.version(), t)
		i := slices.IndexFunc(files, func(f file) bool {
			return f.name == prefix+"tar.gz" || f.name == prefix+"zip"
		})
		if i < 0 {
			return nil, fmt.Errorf("there is no archive for %s", t)
		}
		all[t.String()] = asset{
			OS: t.os, Arch: t.arch, Program: t.program(),
			URL: r.url(files[i].name), SHA256: fmt.Sprintf("%x", sha256.Sum256(files[i].data)),
		}
	}
	return all, nil
}

// manifests fills in the templates with the addresses and sums of these files.
func manifests(r release, files []file) (made []file, err error) {
	set, err := template.ParseFS(manifestTemplates, "templates/*/*.tmpl")
	if err != nil {
		return nil, err
	}
	archives, err := assets(r, files)
	if err != nil {
		return nil, err
	}
	values := map[string]any{
		"Assets": archives,
		"Tag":    r.tag, "Version": r.version(), "Date": r.time.Format(time.DateOnly),
		"Homepage": homepage, "License": license,
		"Summary": summary, "Description": strings.ReplaceAll(description, "\n", " "),
	}
	err = fs.WalkDir(manifestTemplates, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var out bytes.Buffer
		if err := set.ExecuteTemplate(&out, d.Name(), values); err != nil {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "templates/"), ".tmpl")
		made = append(made, file{name: name, data: out.Bytes()})
		return nil
	})
	return made, err
}
