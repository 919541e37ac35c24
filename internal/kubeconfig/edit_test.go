package kubeconfig

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
)

// withExecCase is a file of testdata/withexec: a comment, want.json, optionally user (by default
// the first one), before, and after or error. UPDATE=1 rewrites the last part.
type withExecCase struct {
	path, user           string
	want                 Exec
	before, after, error []byte
}

func withExecCases(t testing.TB) (all []withExecCase) {
	t.Helper()
	paths, err := filepath.Glob("testdata/withexec/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c := withExecCase{path: path}
		for _, f := range archive.Files {
			switch f.Name {
			case "want.json":
				if err := json.Unmarshal(f.Data, &c.want); err != nil {
					t.Fatal(path, err)
				}
			case "user":
				c.user = strings.TrimSpace(string(f.Data))
			case "before":
				c.before = f.Data
			case "after":
				c.after = f.Data
			case "error":
				c.error = f.Data
			}
		}
		all = append(all, c)
	}
	return all
}

func TestWithExec(t *testing.T) {
	crlf := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }
	variants := map[string]func([]byte) []byte{
		"CRLF":             crlf,
		"BOM":              func(b []byte) []byte { return append([]byte("\ufeff"), b...) },
		"no final newline": func(b []byte) []byte { return bytes.TrimRight(b, "\n") },
		"a comment":        func(b []byte) []byte { return append(bytes.Clone(b), "# é\n"...) },
	}
	for _, c := range withExecCases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(c.path), ".txtar"), func(t *testing.T) {
			k := parseOrFail(t, c.before)
			if c.user == "" {
				c.user = k.Users[0].Name
			}
			got, err := k.WithExecs(map[string]Exec{c.user: c.want})
			if os.Getenv("UPDATE") != "" {
				updateCase(t, c, got, err)
				return
			}
			if err != nil {
				if err.Error()+"\n" != string(c.error) {
					t.Fatalf("%v; want %s", err, c.error)
				}
				return
			}
			if !bytes.Equal(got, c.after) {
				t.Fatalf("got\n%s\nwant\n%s", got, c.after)
			}
			for name, variant := range variants {
				if json.Valid(c.before) && name == "a comment" {
					continue
				}
				got, err := parseOrFail(t, variant(c.before)).WithExecs(map[string]Exec{c.user: c.want})
				if want := variant(c.after); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %v\n%q\nwant\n%q", name, err, got, want)
				}
			}
			again, err := parseOrFail(t, got).WithExecs(map[string]Exec{c.user: c.want})
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("twice: %v\n%s", err, again)
			}
		})
	}
}

func updateCase(t *testing.T, c withExecCase, got []byte, err error) {
	t.Helper()
	archive, _ := txtar.ParseFile(c.path)
	last := txtar.File{Name: "after", Data: got}
	if err != nil {
		last = txtar.File{Name: "error", Data: []byte(err.Error() + "\n")}
	}
	for i, f := range archive.Files {
		if f.Name == "after" || f.Name == "error" {
			archive.Files = archive.Files[:i]
			break
		}
	}
	archive.Files = append(archive.Files, last)
	if err := os.WriteFile(c.path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWithExecErrorsAndLongArgs(t *testing.T) {
	k := parseOrFail(t, []byte("users:\n- name: u\n  user:\n    exec:\n      command: x\n"+
		"      args:\n"+strings.Repeat("      - a\n", 3000)))
	if _, err := k.WithExecs(map[string]Exec{"v": {}}); err == nil || err.Error() != `config has no user "v"` {
		t.Error(err)
	}
	_, err := k.WithExecs(map[string]Exec{"u": {Command: "\xff"}})
	if err == nil || !strings.Contains(err.Error(), "not UTF-8") {
		t.Error(err)
	}
	want := Exec{Command: "x", Args: slices.Repeat([]string{"b"}, 2000)}
	got, err := k.WithExecs(map[string]Exec{"u": want})
	if err != nil {
		t.Fatal(err)
	}
	checkEdit(t, k, "u", want, got)
}

// verify finds every change that is not part of the edit.
func TestVerify(t *testing.T) {
	const source = `x: &x {a: b}
users:
- name: first
  user: {token: x}
- name: this
  user:
    exec:
      command: old
      env: [{name: A, value: b, c: d}, {name: B, value: b}]
      other: 1
    as: a
  more: *x
- name: last
contexts: []
`
	k := parseOrFail(t, []byte(source))
	goal := []edit{{user: 1, goal: k.Users[1].Exec.merge(Exec{Command: "new", Env: []EnvVar{{"A", "c"}}})}}
	good := strings.NewReplacer("old", "new", "value: b, c", "value: c, c").Replace(source)
	if line := k.verify([]byte(good), goal); line != 0 {
		t.Fatalf("line %d of a correct edit is reported", line)
	}
	for old, new := range map[string]string{
		"command: new":       "command: newer",
		"contexts: []":       "contexts: [{}]",
		"contexts":           "context",
		"a: b}":              "a: c}",
		"{a: b}":             "[a, b]",
		"more: *x":           "more: {a: c}",
		"more: *x\n":         "",
		"  more":             "  new: x\n  more",
		"token: x":           "token: 1",
		"- name: last\n":     "",
		"as: a":              "as: b",
		"    as: a":          "    as: a\n    auth-provider: {name: azure}",
		"other: 1":           "other: '1'",
		"      other: 1\n":   "",
		"c: d":               "c: e",
		", c: d":             "",
		"name: this":         "name: that",
		"name: B, value: b":  "name: B, value: c",
		"name: B, value: b}": "name: B, value: b, new: x}",
		"x: &x":              "x: &x !!omap",
		"users":              "\tusers",
	} {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the file", old)
		}
		if k.verify([]byte(strings.Replace(good, old, new, 1)), goal) == 0 {
			t.Errorf("%q in place of %q is not reported", new, old)
		}
	}
	asJSON := parseOrFail(t, []byte(`{"users":[{"name":"u"}]}`))
	const asYAML = `{"users":[{"name":"u",user:{"exec":{"command":"x"}}}]}`
	if asJSON.verify([]byte(asYAML), []edit{{goal: Exec{Command: "x"}}}) == 0 {
		t.Error("JSON that became YAML is not reported")
	}
}

func FuzzWithExec(f *testing.F) {
	addSeeds(f, func(c withExecCase) {
		args := strings.Join(c.want.Args, "\n")
		f.Add(c.before, uint(0), c.want.Command, args, "A", "b", c.want.InstallHint, true)
	})
	f.Fuzz(func(
		t *testing.T, source []byte, i uint, command, args, name, value, hint string, all bool,
	) {
		k, err := Parse("config", source)
		if err != nil || len(k.Users) == 0 {
			return
		}
		user := k.Users[i%uint(len(k.Users))].Name
		want := Exec{Command: command, Args: strings.Split(args, "\n"), InstallHint: hint}
		if all {
			want.APIVersion, want.InteractiveMode = "v1", "Never"
			want.ProvideClusterInfo = new(bool)
			want.Env = []EnvVar{{name, value}}
		}
		got, err := k.WithExecs(map[string]Exec{user: want})
		if err != nil {
			checkError(t, err)
			return
		}
		checkEdit(t, k, user, want, got)
	})
}

// checkEdit checks an edited file without verify: it compares what client-go reads, and the bytes
// outside of editableRegion.
func checkEdit(t *testing.T, k *File, user string, want Exec, got []byte) {
	t.Helper()
	edited, err := Parse("config", got)
	if err != nil {
		t.Fatalf("%v in\n%s", err, got)
	}
	i := slices.IndexFunc(k.Users, func(u User) bool { return u.Name == user })
	goal, u := k.Users[i].Exec.merge(want), edited.Users[i]
	if u.Exec == nil || !u.Exec.equal(goal) || u.AuthProvider != nil {
		t.Fatalf("got %s, want %s", indentJSON(u), indentJSON(goal))
	}
	again, err := edited.WithExecs(map[string]Exec{user: want})
	if err != nil || !bytes.Equal(again, got) {
		t.Fatalf("twice: %v\n%s\nthen\n%s", err, got, again)
	}
	if json.Valid(k.source) && !json.Valid(got) {
		t.Fatalf("JSON became\n%s", got)
	}
	from, to := editableRegion(k, i)
	before, after := k.source[:from], k.source[to:]
	if len(got) < len(before)+len(after) || !bytes.HasPrefix(got, before) ||
		!bytes.HasSuffix(got, after) {
		t.Fatalf("more than %q was changed:\n%s", k.source[from:to], got)
	}
	if before, ok := loadWithClientGo(k.source); ok {
		after, ok := loadWithClientGo(got)
		if !ok {
			t.Fatalf("client-go does not read\n%s", got)
		}
		compareExec(t, u.Exec, after.AuthInfos[user])
		before.AuthInfos[user].Exec, after.AuthInfos[user].Exec = nil, nil
		before.AuthInfos[user].AuthProvider = nil
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("got %s, want %s", indentJSON(after), indentJSON(before))
		}
	}
}

// editableRegion returns the range of bytes that an edit of a user may change: from the user's exec
// config or auth-provider, or the last field if there is neither, to the next node after them.
func editableRegion(k *File, i int) (from, to int) {
	var nodes []*yaml.Node
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		nodes = append(nodes, n)
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(k.root)
	last := func(n *yaml.Node) *yaml.Node {
		for len(n.Content) > 0 {
			n = n.Content[len(n.Content)-1]
		}
		return n
	}
	entry := k.userNodes[i]
	_, user := ownMember(entry, "user")
	parts := []*yaml.Node{last(entry)} // the edit adds the field user
	if user != nil {
		parts = []*yaml.Node{last(user)}
		for _, name := range []string{"exec", "auth-provider"} {
			if key, value := ownMember(user, name); key != nil {
				parts = append(parts, key, last(value))
			}
		}
		if len(parts) > 1 {
			parts = parts[1:]
		}
	}
	l := newLayout(k.source[len(k.source)-len(k.text):])
	from, to = len(l.text), 0
	for _, p := range parts {
		from = min(from, l.begin(p))
		next := len(l.text)
		if j := slices.Index(nodes, p); j+1 < len(nodes) {
			next = l.begin(nodes[j+1])
		}
		to = max(to, next)
	}
	bom := len(k.source) - len(k.text)
	return bom + max(0, l.lineStart(from)), bom + to
}
