package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A goModule is one that the program is linked with. The standard library counts as one.
type goModule struct {
	path, version string
	licenses      map[string]string // the texts by file name
}

const standardLibrary = "std"

// licenses finds the modules that the programs are linked with, for any target, and writes their
// licenses into one file. A module without a license is an error.
func (b *builder) licenses() ([]file, error) {
	found := map[string]*goModule{}
	for _, t := range targets {
		if err := b.addModules(t, found); err != nil {
			return nil, err
		}
	}
	if err := b.addStandardLibrary(found); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		m := found[path]
		if _, err := m.licenseIDs(); err != nil {
			return nil, err
		}
		b.modules = append(b.modules, *m)
	}
	b.licenseText = file{"THIRD_PARTY_LICENSES", 0o644, licenseText(b.modules)}
	return nil, nil
}

// addModules adds the modules of a target's program, with the licenses that stand above one of the
// packages in use.
func (b *builder) addModules(t target, found map[string]*goModule) error {
	list, err := output(b.source, t.env(), b.command[0],
		"list", "-deps", "-json=Dir,Standard,Module", ".")
	if err != nil {
		return err
	}
	for decoder := json.NewDecoder(strings.NewReader(list)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := found[p.Module.Path]
		if m == nil {
			m = &goModule{path: p.Module.Path, version: p.Module.Version, licenses: map[string]string{}}
			found[m.path] = m
		}
		if err := m.addLicenses(p.Module.Dir, p.Dir); err != nil {
			return err
		}
	}
}

func (b *builder) addStandardLibrary(found map[string]*goModule) error {
	env, err := output(b.source, nil, b.command[0], "env", "GOROOT", "GOVERSION")
	if err != nil {
		return err
	}
	root, version, _ := strings.Cut(env, "\n")
	m := &goModule{
		path: standardLibrary, version: strings.TrimPrefix(version, "go"), licenses: map[string]string{},
	}
	found[m.path] = m
	return m.addLicenses(root, root)
}

var licenseName = regexp.MustCompile(`(?i)^(un)?licen[cs]e|^copying|^notice|^patents`)

// addLicenses adds the license files in dir and in the directories above it, up to root.
func (m *goModule) addLicenses(root, dir string) error {
	for ; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() || filepath.Ext(e.Name()) == ".go" || !licenseName.MatchString(e.Name()) {
				continue
			}
			rel, err := filepath.Rel(root, filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			m.licenses[filepath.ToSlash(rel)] = strings.ReplaceAll(string(text), "\r\n", "\n")
		}
		if dir == root || len(dir) < len(root) {
			return nil
		}
	}
}

// licensePhrases are SPDX identifiers, each with words that only texts of that license have.
// BSD-3-Clause stands before BSD-2-Clause, whose words it has too.
var licensePhrases = []struct{ id, phrase string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MIT", "permission is hereby granted free of charge"},
	{"BSD-3-Clause", "endorse or promote products derived"},
	{"BSD-2-Clause", "redistribution and use in source and binary forms"},
}

// licenseIDs returns the SPDX identifiers of the module's licenses. A license of another kind is an
// error, so that a person decides.
func (m *goModule) licenseIDs() (ids []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(m.licenses)) {
		found := identifyLicenses(m.licenses[name])
		base := strings.ToLower(name[strings.LastIndex(name, "/")+1:])
		isNotice := strings.HasPrefix(base, "notice") || strings.HasPrefix(base, "patents")
		if len(found) == 0 && !isNotice {
			return nil, fmt.Errorf("%s %s: %s is a license that dist does not know", m.path, m.version, name)
		}
		ids = append(ids, found...)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s %s: no license found", m.path, m.version)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func identifyLicenses(text string) (ids []string) {
	text = strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), ",", "")), " ")
	for _, l := range licensePhrases {
		isThreeClause := l.id == "BSD-2-Clause" && slices.Contains(ids, "BSD-3-Clause")
		if strings.Contains(text, l.phrase) && !isThreeClause {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// licenseText writes each text once, below the names of all files that hold it.
func licenseText(modules []goModule) []byte {
	var order []string
	holders := map[string][]string{}
	for _, m := range modules {
		for _, name := range slices.Sorted(maps.Keys(m.licenses)) {
			text := m.licenses[name]
			if holders[text] == nil {
				order = append(order, text)
			}
			holders[text] = append(holders[text], fmt.Sprintf("%s %s (%s)", m.path, m.version, name))
		}
	}
	var b strings.Builder
	b.WriteString("akslogin contains the following modules, under these licenses.\n")
	for _, text := range order {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80),
			strings.Join(holders[text], "\n"), strings.Trim(text, "\n"))
	}
	return []byte(b.String())
}
