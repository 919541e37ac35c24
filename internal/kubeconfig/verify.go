package kubeconfig

import (
	"encoding/json"
	"slices"

	"go.yaml.in/yaml/v3"
)

// verify reads an edited file and returns 0 if its user i has the goal for its stanza and nothing
// else differs, node by node. Otherwise it returns the line, in the file as it was, that was in the
// way.
func (k *File) verify(edited []byte, i int, goal Exec) (line int) {
	line = k.Users[i].Line
	now, err := Parse(k.Path, edited)
	if err != nil || json.Valid(k.text) && !json.Valid(now.text) || len(now.Users) != len(k.Users) {
		return line
	}
	u := now.Users[i]
	if u.Exec == nil || !u.Exec.equal(goal) || u.AuthProvider != nil || u.Name != k.Users[i].Name ||
		!slices.Equal(u.OtherFields, k.Users[i].OtherFields) {
		return line
	}
	c := comparison{seen: map[[2]*yaml.Node]bool{}}
	c.compareExcept(k.root, now.root, "users")
	for j := range k.userNodes {
		if j != i {
			c.compare(k.userNodes[j], now.userNodes[j])
		}
	}
	was, is := c.compareExcept(k.userNodes[i], now.userNodes[i], "user")
	was, is = c.compareExcept(was.get("user"), is.get("user"), "exec", "auth-provider")
	was, is = c.compareExcept(
		was.get("exec"),
		is.get("exec"),
		"apiVersion",
		"command",
		"args",
		"env",
		"installHint",
		"interactiveMode",
		"provideClusterInfo",
	)
	before, after := c.r.items(was.get("env"), ""), c.r.items(is.get("env"), "")
	for j, v := range before {
		if goal.Env[j] == k.Users[i].Exec.Env[j] {
			c.compare(v, after[j])
		} else {
			c.compareExcept(v, after[j], "value")
		}
	}
	if c.r.err != nil {
		return line
	}
	return c.line
}

// comparison finds the first line in which an older tree differs from a newer one. An alias is what
// it stands for.
type comparison struct {
	r    nodeReader
	seen map[[2]*yaml.Node]bool
	line int
}

func (c *comparison) markDifference(n *yaml.Node) {
	if c.line == 0 {
		c.line = max(n.Line, 1)
	}
}

// compareExcept compares mappings without some fields, and returns all of them.
func (c *comparison) compareExcept(a, b *yaml.Node, names ...string) (was, is fields) {
	was, is = c.r.fields(a, ""), c.r.fields(b, "")
	named := func(f field) bool { return slices.Contains(names, f.key.Value) }
	w, i := slices.DeleteFunc(slices.Clone(was), named), slices.DeleteFunc(slices.Clone(is), named)
	for j, f := range w {
		if len(i) != len(w) {
			c.markDifference(f.key)
			break
		}
		c.compare(f.key, i[j].key)
		c.compare(f.value, i[j].value)
	}
	if len(i) > 0 && len(w) == 0 {
		c.markDifference(i[0].key)
	}
	return was, is
}

func (c *comparison) compare(a, b *yaml.Node) {
	a, b = resolveAlias(a), resolveAlias(b)
	if pair := [2]*yaml.Node{a, b}; c.line != 0 || c.seen[pair] {
		return
	} else {
		c.seen[pair] = true
	}
	if a.Kind != b.Kind || a.ShortTag() != b.ShortTag() || a.Value != b.Value ||
		len(a.Content) != len(b.Content) {
		c.markDifference(a)
		return
	}
	for i := range a.Content {
		c.compare(a.Content[i], b.Content[i])
	}
}
