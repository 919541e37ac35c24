package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// Commands for files, in place of a shell, which Windows lacks.

func glob(ts *testscript.TestScript, pattern string) []string {
	files, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	return files
}

// cmdRemove removes the files that match patterns, if there are any: remove PATTERN...
func cmdRemove(ts *testscript.TestScript, neg bool, args []string) {
	for _, pattern := range args {
		for _, file := range glob(ts, pattern) {
			ts.Check(os.Remove(file))
		}
	}
}

// cmdCountFiles checks how many files match a pattern: count-files PATTERN N.
func cmdCountFiles(ts *testscript.TestScript, neg bool, args []string) {
	if files := glob(ts, args[0]); len(files) != parseInt(ts, args[1]) {
		ts.Fatalf("%q, want %s", files, args[1])
	}
}

// cmdCopyFolder copies a folder with the modes and times of its files: copy-folder FROM TO.
func cmdCopyFolder(ts *testscript.TestScript, neg bool, args []string) {
	from, to := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.Mkdir(target, info.Mode().Perm())
		}
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(target, content, info.Mode().Perm())
		}
		if err == nil {
			err = os.Chtimes(target, info.ModTime(), info.ModTime())
		}
		return err
	}))
}

// cmdEncode copies a file of ASCII text in another encoding: encode ENCODING FROM TO.
func cmdEncode(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[1])
	wide := func(before, after string) string {
		var b strings.Builder
		for i := range len(text) {
			b.WriteString(before + text[i:i+1] + after)
		}
		return b.String()
	}
	encoded, known := map[string]string{
		"utf-8-bom":    "\xef\xbb\xbf" + text,
		"utf-16le":     wide("", "\x00"),
		"utf-16le-bom": "\xff\xfe" + wide("", "\x00"),
		"utf-16be-bom": "\xfe\xff" + wide("\x00", ""),
	}[args[0]]
	if !known {
		ts.Fatalf("unknown encoding %q", args[0])
	}
	writeFile(ts, args[2], encoded)
}

// cmdEnvFrom sets a variable to a file's content: env-from NAME FILE.
func cmdEnvFrom(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}
