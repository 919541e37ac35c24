package kubeconfig

import (
	"encoding/json"
	"slices"

	"go.yaml.in/yaml/v3"
)

// verify parses an edited file and compares it with k node by node. It returns 0 if the edited
// users have their exec configs and no auth-provider, and nothing else differs. Otherwise it
// returns the line in k's text to report in an error.
func (k *File) verify(text []byte, edits []edit) (line int) {
	lastLine := k.Users[edits[len(edits)-1].user].Line
	after, err := Parse(k.Path, text)
	if err != nil || json.Valid(k.text) && !json.Valid(after.text) ||
		len(after.Users) != len(k.Users) {
		return lastLine
	}
	for _, e := range edits {
		before, u := k.Users[e.user], after.Users[e.user]
		if u.Exec == nil || !u.Exec.equal(e.goal) || u.AuthProvider != nil ||
			u.Name != before.Name || !slices.Equal(u.OtherFields, before.OtherFields) {
			return before.Line
		}
	}
	c := comparison{seen: map[[2]*yaml.Node]bool{}}
	c.compareExcept(k.root, after.root, "users")
	for i := range k.userNodes {
		if len(edits) == 0 || edits[0].user != i {
			c.compare(k.userNodes[i], after.userNodes[i])
			continue
		}
		c.compareUser(k, after, edits[0])
		edits = edits[1:]
	}
	if c.r.err != nil {
		return lastLine
	}
	return c.line
}

// compareUser compares an edited user without the fields that the edit may change.
func (c *comparison) compareUser(k, after *File, e edit) {
	if c.r.err != nil {
		return
	}
	c.r.visited = 0 // Parse has bounded the files
	old, edited := c.compareExcept(k.userNodes[e.user], after.userNodes[e.user], "user")
	old, edited = c.compareExcept(old.get("user"), edited.get("user"), "exec", "auth-provider")
	old, edited = c.compareExcept(old.get("exec"), edited.get("exec"), "apiVersion", "command",
		"args", "env", "installHint", "interactiveMode", "provideClusterInfo")
	oldEnv, newEnv := c.r.items(old.get("env"), ""), c.r.items(edited.get("env"), "")
	for i, v := range oldEnv {
		if e.goal.Env[i] == k.Users[e.user].Exec.Env[i] {
			c.compare(v, newEnv[i])
		} else {
			c.compareExcept(v, newEnv[i], "value")
		}
	}
}

// comparison finds the first difference between an old and a new tree. An alias equals the node
// that it stands for.
type comparison struct {
	r    nodeReader
	seen map[[2]*yaml.Node]bool // pairs that aliases led to; a cycle of aliases would not end
	line int                    // line of the first difference in the old tree, or 0
}

func (c *comparison) markDifference(n *yaml.Node) {
	if c.line == 0 {
		c.line = max(n.Line, 1)
	}
}

// compareExcept compares two mappings without the named fields. It returns all their fields.
func (c *comparison) compareExcept(a, b *yaml.Node, names ...string) (old, edited fields) {
	old, edited = c.r.fields(a, ""), c.r.fields(b, "")
	excepted := func(f field) bool { return slices.Contains(names, f.key.Value) }
	was := slices.DeleteFunc(slices.Clone(old), excepted)
	is := slices.DeleteFunc(slices.Clone(edited), excepted)
	for i, f := range was {
		if len(is) != len(was) {
			c.markDifference(f.key)
			break
		}
		c.compare(f.key, is[i].key)
		c.compare(f.value, is[i].value)
	}
	if len(is) > 0 && len(was) == 0 {
		c.markDifference(is[0].key)
	}
	return old, edited
}

func (c *comparison) compare(a, b *yaml.Node) {
	isAlias := a.Kind == yaml.AliasNode || b.Kind == yaml.AliasNode
	a, b = resolveAlias(a), resolveAlias(b)
	pair := [2]*yaml.Node{a, b}
	if c.line != 0 || c.seen[pair] {
		return
	}
	if isAlias {
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
