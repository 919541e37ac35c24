package kube

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

// WithExec returns the file's bytes with one user's exec stanza changed, so that Parse finds in it what want says. Empty fields
// of want leave what is there, but for Command and Args; variables that are not in want.Env stay. An auth-provider goes, with the
// comments in it, and the stanza takes its place. As few bytes as possible differ; all other comments, order, unknown fields, indentation
// and line ends are the file's. Of two users with that name the first is changed.
//
// The result is verified before it is returned. A file that is written in a way that cannot be edited is an error.
func (k *Kubeconfig) WithExec(user string, want Exec) ([]byte, error) {
	i := slices.IndexFunc(k.Users, func(u User) bool { return u.Name == user })
	if i < 0 {
		return nil, fmt.Errorf("%s has no user %q", k.Path, user)
	}
	if err := want.check(); err != nil {
		return nil, err
	}
	before := k.Users[i]
	goal := before.Exec.overlaid(want)
	if before.AuthProvider == nil && before.Exec != nil && before.Exec.equal(goal) {
		return bytes.Clone(k.source), nil
	}
	e := &editor{splices: splices{layout: newLayout(k.text), block: blockStyle{mapping: 2, dash: 2}}, before: before, goal: goal}
	e.edit(k.top, k.entries[i])
	text, ok := e.result()
	if !ok || e.odd != 0 {
		return nil, k.cannotEdit(max(e.odd, before.Line))
	}
	result := slices.Concat(k.source[:len(k.source)-len(k.text)], text)
	if line := k.verify(result, i, goal); line != 0 {
		return nil, k.cannotEdit(line)
	}
	return result, nil
}

func (k *Kubeconfig) cannotEdit(line int) error {
	return lineError(k.Path, line, "written in a way that this program cannot edit safely (an anchor that is used elsewhere, perhaps), so nothing was changed; "+
		"`kubectl config view --raw` writes the same configuration plainly")
}

// check says why no file could hold the stanza.
func (e Exec) check() error {
	texts := append([]string{e.APIVersion, e.Command, e.InstallHint, e.InteractiveMode}, e.Args...)
	for _, v := range e.Env {
		texts = append(texts, v.Name, v.Value)
	}
	if slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) }) {
		return errors.New("a kubeconfig cannot hold an exec stanza with text that is not UTF-8")
	}
	return nil
}

// overlaid is the stanza, or an empty one for nil, with what want says.
func (e *Exec) overlaid(want Exec) Exec {
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
		e.InstallHint == o.InstallHint && e.InteractiveMode == o.InteractiveMode && sameBool(e.ProvideClusterInfo, o.ProvideClusterInfo)
}

func sameBool(a, b *bool) bool { return a == b || a != nil && b != nil && *a == *b }

// editor collects the splices that make a user's stanza the goal.
type editor struct {
	splices
	before User
	goal   Exec
}

func (e *editor) edit(top, entry *yaml.Node) {
	_, user := own(entry, "user")
	if !inPlace(entry) || user != nil && user.Kind == yaml.AliasNode {
		e.refuse(entry)
		return
	}
	e.steps(top)
	e.steps(entry) // the nearest says last
	for _, n := range []*yaml.Node{top, entry, user} {
		e.likeJSON = e.likeJSON || n != nil && isFlow(n) && len(n.Content) > 0 && n.Content[0].Style&yaml.DoubleQuotedStyle != 0
	}
	if !inPlace(user) {
		e.set(entry, "user", []member{{"exec", e.stanza()}})
		return
	}
	_, exec := own(user, "exec")
	key, old := own(user, "auth-provider")
	if e.before.AuthProvider == nil {
		old = nil
	}
	switch {
	case old != nil && exec == nil:
		e.replaceMember(user, key, old, member{"exec", e.stanza()})
		return
	case old != nil:
		e.remove(user, key, old)
	}
	if inPlace(exec) {
		e.exec(exec)
	} else {
		e.set(user, "exec", e.stanza())
	}
}

// steps finds how deep the file indents mappings and lists below a node.
func (e *editor) steps(n *yaml.Node) {
	if n.Kind == yaml.AliasNode || isFlow(n) {
		return
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && inPlace(c) && !isFlow(c) {
			if step := e.column(c) - e.column(n); c.Kind == yaml.MappingNode {
				e.block.mapping = max(step, 1)
			} else {
				e.block.list = max(step, 0)
				e.block.dash = e.bullet(c)
			}
		}
		e.steps(c)
	}
}

// scalar is a string as it will stand in the file, in the place of old; nil: of nothing.
func (e *editor) scalar(s string, old *yaml.Node) string {
	if e.likeJSON || old != nil && quoted(old) {
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

func (e *editor) env(vars []EnvVar) []any {
	list := []any{}
	for _, v := range vars {
		list = append(list, []member{{"name", e.scalar(v.Name, nil)}, {"value", quote(v.Value)}})
	}
	return list
}

// A change is a field of the stanza that is to become the goal's. in edits a list that stands there already.
type change struct {
	name    string
	differs bool
	empty   bool
	value   func(old *yaml.Node) any
	in      func(key, list *yaml.Node)
}

// changes are all fields, in the order in which new ones are written.
func (e *editor) changes() []change {
	before, g := Exec{}, e.goal
	if e.before.Exec != nil {
		before = *e.before.Exec
	}
	text := func(name, before, after string) change {
		return change{name: name, differs: before != after, empty: after == "", value: func(old *yaml.Node) any { return e.scalar(after, old) }}
	}
	return []change{
		text("apiVersion", before.APIVersion, g.APIVersion),
		text("command", before.Command, g.Command),
		{"args", !slices.Equal(before.Args, g.Args), len(g.Args) == 0, func(*yaml.Node) any { return quotedItems(g.Args) }, e.changeArgs},
		{"env", !slices.Equal(before.Env, g.Env), len(g.Env) == 0, func(*yaml.Node) any { return e.env(g.Env) }, e.changeEnv},
		text("installHint", before.InstallHint, g.InstallHint),
		text("interactiveMode", before.InteractiveMode, g.InteractiveMode),
		{"provideClusterInfo", !sameBool(before.ProvideClusterInfo, g.ProvideClusterInfo), g.ProvideClusterInfo == nil,
			func(*yaml.Node) any { return strconv.FormatBool(*g.ProvideClusterInfo) }, nil},
	}
}

// stanza is the goal, whole.
func (e *editor) stanza() []member {
	all := []member{}
	for _, c := range e.changes() {
		if !c.empty {
			all = append(all, member{c.name, c.value(nil)})
		}
	}
	return all
}

// exec makes a stanza that stands there the goal, field by field. New fields come last, because where they go a list may grow.
func (e *editor) exec(n *yaml.Node) {
	for _, added := range []bool{false, true} {
		for _, c := range e.changes() {
			key, old := own(n, c.name)
			switch {
			case !c.differs || added != (old == nil):
			case c.in != nil && inPlace(old):
				c.in(key, old)
			default:
				e.set(n, c.name, c.value(old))
			}
		}
	}
}

func (e *editor) changeEnv(_, list *yaml.Node) {
	before, after := e.before.Exec.Env, e.goal.Env
	for i, item := range list.Content {
		if before[i].Value == after[i].Value {
			continue
		}
		if !inPlace(item) {
			e.refuse(item)
			return
		}
		_, value := own(item, "value")
		e.set(item, "value", e.scalar(after[i].Value, value))
	}
	if added := after[len(before):]; len(added) > 0 {
		e.insertItems(list, len(before), e.env(added))
	}
}

func (e *editor) changeArgs(key, list *yaml.Node) {
	if len(e.goal.Args) == 0 {
		e.clear(key, list)
		return
	}
	for _, h := range diff(e.before.Exec.Args, e.goal.Args) {
		same := min(h.gone, len(h.added))
		for i := range same {
			e.setValue(list.Content[h.at+i], e.column(list), quote(h.added[i]))
		}
		if h.gone > same {
			e.removeItems(list, h.at+same, h.at+h.gone)
		}
		if len(h.added) > same {
			e.insertItems(list, h.at+same, quotedItems(h.added[same:]))
		}
	}
}

// hunk is a place where two lists differ: from an index of the old one, so many are gone, and others have come.
type hunk struct {
	at, gone int
	added    []string
}

const maxDiff = 1 << 22

// diff keeps a longest common subsequence; nothing where finding it would take too long.
func diff(old, new []string) (hunks []hunk) {
	if len(old)*len(new) > maxDiff {
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
			if h.gone > 0 || len(h.added) > 0 {
				hunks = append(hunks, h)
			}
			i, j = i+1, j+1
			h = hunk{at: i}
		case j == len(new) || i < len(old) && common[i+1][j] >= common[i][j+1]:
			h.gone++
			i++
		default:
			h.added = append(h.added, new[j])
			j++
		}
	}
	if h.gone > 0 || len(h.added) > 0 {
		hunks = append(hunks, h)
	}
	return hunks
}
