package kubeconfig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// WithExec returns the file's bytes with one user's exec stanza changed, so that Parse finds in it
// what want says. Empty fields of want leave what is there, but for Command and Args; variables
// that are not in want.Env stay. An auth-provider goes, with the comments in it, and the stanza
// takes its place. As few bytes as possible differ; all other comments, order, unknown fields,
// indentation and line ends are the file's. Of two users with that name the first is changed.
//
// The result is verified before it is returned. A file that is written in a way that cannot be
// edited is an error.
func (k *File) WithExec(user string, want Exec) ([]byte, error) {
	i := slices.IndexFunc(k.Users, func(u User) bool { return u.Name == user })
	if i < 0 {
		return nil, fmt.Errorf("%s has no user %q", k.Path, user)
	}
	if err := want.validate(); err != nil {
		return nil, err
	}
	before := k.Users[i]
	goal := before.Exec.merge(want)
	if before.AuthProvider == nil && before.Exec != nil && before.Exec.equal(goal) {
		return bytes.Clone(k.source), nil
	}
	e := &editor{
		splices: splices{layout: newLayout(k.text), block: blockStyle{mapping: 2, dash: 2}},
		oldUser: before,
		newExec: goal,
	}
	e.edit(k.root, k.userNodes[i])
	text, ok := e.apply()
	if !ok || e.unsupportedLine != 0 {
		return nil, k.editError(max(e.unsupportedLine, before.Line))
	}
	result := slices.Concat(k.source[:len(k.source)-len(k.text)], text)
	if line := k.verify(result, i, goal); line != 0 {
		return nil, k.editError(line)
	}
	return result, nil
}

func (k *File) editError(line int) error {
	return lineError(
		k.Path,
		line,
		"written in a way that this program cannot edit safely (an anchor that is used elsewhere, perhaps), so nothing was changed; "+
			"`kubectl config view --raw` writes the same configuration plainly",
	)
}

// validate says why no file could hold the stanza.
func (e Exec) validate() error {
	texts := append([]string{e.APIVersion, e.Command, e.InstallHint, e.InteractiveMode}, e.Args...)
	for _, v := range e.Env {
		texts = append(texts, v.Name, v.Value)
	}
	if slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) }) {
		return errors.New("a kubeconfig cannot hold an exec stanza with text that is not UTF-8")
	}
	return nil
}

// merge is the stanza, or an empty one for nil, with what want says.
func (e *Exec) merge(want Exec) Exec {
	if e == nil {
		e = &Exec{}
	}
	goal := Exec{
		APIVersion:         cmp.Or(want.APIVersion, e.APIVersion),
		Command:            want.Command,
		Args:               want.Args,
		Env:                slices.Clone(e.Env),
		InstallHint:        cmp.Or(want.InstallHint, e.InstallHint),
		InteractiveMode:    cmp.Or(want.InteractiveMode, e.InteractiveMode),
		ProvideClusterInfo: cmp.Or(want.ProvideClusterInfo, e.ProvideClusterInfo),
	}
	for _, v := range want.Env {
		found := false
		for i := range goal.Env {
			if goal.Env[i].Name == v.Name {
				goal.Env[i].Value, found = v.Value, true
			}
		}
		if !found {
			goal.Env = append(goal.Env, v)
		}
	}
	return goal
}

func (e Exec) equal(o Exec) bool {
	return e.APIVersion == o.APIVersion && e.Command == o.Command && slices.Equal(e.Args, o.Args) && slices.Equal(e.Env, o.Env) &&
		e.InstallHint == o.InstallHint &&
		e.InteractiveMode == o.InteractiveMode &&
		equalBool(e.ProvideClusterInfo, o.ProvideClusterInfo)
}

func equalBool(a, b *bool) bool { return a == b || a != nil && b != nil && *a == *b }

// editor collects the splices that make a user's stanza the goal.
type editor struct {
	splices
	oldUser User
	newExec Exec
}

func (e *editor) edit(top, entry *yaml.Node) {
	_, user := ownMember(entry, "user")
	if !isEditable(entry) || user != nil && user.Kind == yaml.AliasNode {
		e.markUnsupported(entry)
		return
	}
	e.detectIndent(top)
	e.detectIndent(entry) // the nearest says last
	for _, n := range []*yaml.Node{top, entry, user} {
		e.quoteAll = e.quoteAll ||
			n != nil && isFlow(n) && len(n.Content) > 0 &&
				n.Content[0].Style&yaml.DoubleQuotedStyle != 0
	}
	if !isEditable(user) {
		e.setMember(entry, "user", []member{{"exec", e.execMembers()}})
		return
	}
	_, exec := ownMember(user, "exec")
	key, old := ownMember(user, "auth-provider")
	if e.oldUser.AuthProvider == nil {
		old = nil
	}
	switch {
	case old != nil && exec == nil:
		e.replaceMember(user, key, old, member{"exec", e.execMembers()})
		return
	case old != nil:
		e.removeMember(user, key, old)
	}
	if isEditable(exec) {
		e.editExec(exec)
	} else {
		e.setMember(user, "exec", e.execMembers())
	}
}

// detectIndent finds how deep the file indents mappings and lists below a node.
func (e *editor) detectIndent(n *yaml.Node) {
	if n.Kind == yaml.AliasNode || isFlow(n) {
		return
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && isEditable(c) && !isFlow(c) {
			if step := e.column(c) - e.column(n); c.Kind == yaml.MappingNode {
				e.block.mapping = max(step, 1)
			} else {
				e.block.list = max(step, 0)
				e.block.dash = e.dashWidth(c)
			}
		}
		e.detectIndent(c)
	}
}

// formatScalar is a string as it will stand in the file, in the place of old; nil: of nothing.
func (e *editor) formatScalar(s string, old *yaml.Node) string {
	if e.quoteAll || old != nil && isQuoted(old) {
		return quote(s)
	}
	return plainOrQuoted(s)
}

func quotedItems(texts []string) []any {
	list := []any{}
	for _, t := range texts {
		list = append(list, quote(t))
	}
	return list
}

func (e *editor) envItems(vars []EnvVar) []any {
	list := []any{}
	for _, v := range vars {
		list = append(
			list,
			[]member{{"name", e.formatScalar(v.Name, nil)}, {"value", quote(v.Value)}},
		)
	}
	return list
}

// A change is a field of the stanza that is to become the goal's. in edits a list that stands there
// already.
type fieldChange struct {
	name     string
	differs  bool
	empty    bool
	value    func(old *yaml.Node) any
	editList func(key, list *yaml.Node)
}

// changes are all fields, in the order in which new ones are written.
func (e *editor) changes() []fieldChange {
	before, g := Exec{}, e.newExec
	if e.oldUser.Exec != nil {
		before = *e.oldUser.Exec
	}
	text := func(name, before, after string) fieldChange {
		return fieldChange{
			name:    name,
			differs: before != after,
			empty:   after == "",
			value:   func(old *yaml.Node) any { return e.formatScalar(after, old) },
		}
	}
	return []fieldChange{
		text("apiVersion", before.APIVersion, g.APIVersion),
		text("command", before.Command, g.Command),
		{
			"args",
			!slices.Equal(before.Args, g.Args),
			len(g.Args) == 0,
			func(*yaml.Node) any { return quotedItems(g.Args) },
			e.editArgs,
		},
		{
			"env",
			!slices.Equal(before.Env, g.Env),
			len(g.Env) == 0,
			func(*yaml.Node) any { return e.envItems(g.Env) },
			e.editEnv,
		},
		text("installHint", before.InstallHint, g.InstallHint),
		text("interactiveMode", before.InteractiveMode, g.InteractiveMode),
		{
			"provideClusterInfo",
			!equalBool(before.ProvideClusterInfo, g.ProvideClusterInfo),
			g.ProvideClusterInfo == nil,
			func(*yaml.Node) any { return strconv.FormatBool(*g.ProvideClusterInfo) },
			nil,
		},
	}
}

// execMembers is the goal, whole.
func (e *editor) execMembers() []member {
	all := []member{}
	for _, c := range e.changes() {
		if !c.empty {
			all = append(all, member{c.name, c.value(nil)})
		}
	}
	return all
}

// editExec makes a stanza that stands there the goal, field by field. New fields come last, because
// where they go a list may grow.
func (e *editor) editExec(n *yaml.Node) {
	for _, added := range []bool{false, true} {
		for _, c := range e.changes() {
			key, old := ownMember(n, c.name)
			switch {
			case !c.differs || added != (old == nil):
			case c.editList != nil && isEditable(old):
				c.editList(key, old)
			default:
				e.setMember(n, c.name, c.value(old))
			}
		}
	}
}

func (e *editor) editEnv(_, list *yaml.Node) {
	before, after := e.oldUser.Exec.Env, e.newExec.Env
	for i, item := range list.Content {
		if before[i].Value == after[i].Value {
			continue
		}
		if !isEditable(item) {
			e.markUnsupported(item)
			return
		}
		_, value := ownMember(item, "value")
		e.setMember(item, "value", e.formatScalar(after[i].Value, value))
	}
	if added := after[len(before):]; len(added) > 0 {
		e.insertItems(list, len(before), e.envItems(added))
	}
}

func (e *editor) editArgs(key, list *yaml.Node) {
	if len(e.newExec.Args) == 0 {
		e.clearList(key, list)
		return
	}
	for _, h := range diff(e.oldUser.Exec.Args, e.newExec.Args) {
		same := min(h.removed, len(h.added))
		for i := range same {
			e.setValue(list.Content[h.index+i], e.column(list), quote(h.added[i]))
		}
		if h.removed > same {
			e.removeItems(list, h.index+same, h.index+h.removed)
		}
		if len(h.added) > same {
			e.insertItems(list, h.index+same, quotedItems(h.added[same:]))
		}
	}
}

// hunk is a place where two lists differ: from an index of the old one, so many are gone, and
// others have come.
type hunk struct {
	index, removed int
	added          []string
}

const maxDiffCells = 1 << 22

// diff keeps a longest common subsequence; nothing where finding it would take too long.
func diff(old, new []string) (hunks []hunk) {
	if len(old)*len(new) > maxDiffCells {
		return []hunk{{0, len(old), new}}
	}
	// common[i][j] is how much old[i:] and new[j:] share.
	common := make([][]int, len(old)+1)
	for i := range common {
		common[i] = make([]int, len(new)+1)
	}
	for i := len(old) - 1; i >= 0; i-- {
		for j := len(new) - 1; j >= 0; j-- {
			if old[i] == new[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var h hunk
	i, j := 0, 0
	for i < len(old) || j < len(new) {
		switch {
		case i < len(old) && j < len(new) && old[i] == new[j]:
			if h.removed > 0 || len(h.added) > 0 {
				hunks = append(hunks, h)
			}
			i, j = i+1, j+1
			h = hunk{index: i}
		case j == len(new) || i < len(old) && common[i+1][j] >= common[i][j+1]:
			h.removed++
			i++
		default:
			h.added = append(h.added, new[j])
			j++
		}
	}
	if h.removed > 0 || len(h.added) > 0 {
		hunks = append(hunks, h)
	}
	return hunks
}
