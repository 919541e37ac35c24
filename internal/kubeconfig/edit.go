package kubeconfig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// WithExecs returns the file's source with the exec configs of users changed to those in want, by
// the users' names. It does not modify k and writes no file.
//
// Command and Args are replaced. Other fields that are empty in want keep their value, and
// variables that are not in want's Env stay. An auth-provider is removed together with the comments
// in it; the exec config takes its place. If two users have a name, the first one is changed.
//
// WithExecs changes as few bytes as it can: other comments, order, unknown fields, indentation and
// line endings stay. JSON stays JSON. The source is returned unchanged if it already says what want
// says, so that a second WithExecs changes nothing.
//
// Before it returns, WithExecs parses the result and compares it with k, once for all users. It
// returns an error for a file that it cannot edit safely, for a user that is not there, and for
// text in want that is not UTF-8.
func (k *File) WithExecs(want map[string]Exec) ([]byte, error) {
	edits, err := k.edits(want)
	if err != nil {
		return nil, err
	}
	if len(edits) == 0 {
		return bytes.Clone(k.source), nil
	}
	result, line := k.apply(edits)
	if line == 0 {
		return result, nil
	}
	first := sort.Search(len(edits)-1, func(i int) bool {
		_, line := k.apply(edits[:i+1])
		return line != 0
	})
	_, line = k.apply(edits[:first+1])
	return nil, k.editError(line)
}

// edit changes one user's exec config.
type edit struct {
	user    int // index of the user
	goal    Exec
	splices []splice
}

// edits returns the edits that want takes, in the file's order.
func (k *File) edits(want map[string]Exec) (edits []edit, err error) {
	inFile := editor{
		splices: splices{layout: newLayout(k.text), block: blockStyle{mapping: 2, dash: 2}},
	}
	if k.root != nil {
		inFile.detectStyle(k.root)
	}
	found := map[string]bool{}
	for i, u := range k.Users {
		exec, wanted := want[u.Name]
		if !wanted || found[u.Name] {
			continue
		}
		found[u.Name] = true
		if err := exec.validate(); err != nil {
			return nil, err
		}
		if u.HasExec(exec) {
			continue
		}
		e := inFile
		e.oldUser, e.newExec = u, u.Exec.merge(exec)
		e.edit(k.userNodes[i])
		if e.unsupportedLine != 0 {
			return nil, k.editError(max(e.unsupportedLine, u.Line))
		}
		edits = append(edits, edit{i, e.newExec, e.list})
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !found[name] {
			return nil, fmt.Errorf("%s has no user %q", k.Path, name)
		}
	}
	return edits, nil
}

// apply returns the source with the edits made, and 0 if they are exactly what differs. Otherwise
// it returns the line to report in an error.
func (k *File) apply(edits []edit) (result []byte, line int) {
	all := splices{layout: layout{text: k.text}}
	for _, e := range edits {
		all.list = append(all.list, e.splices...)
	}
	text, ok := all.apply()
	if !ok {
		return nil, k.Users[edits[len(edits)-1].user].Line
	}
	result = slices.Concat(k.source[:len(k.source)-len(k.text)], text)
	return result, k.verify(result, edits)
}

// HasExec reports whether WithExecs would leave the user as it is.
func (u User) HasExec(want Exec) bool {
	return u.AuthProvider == nil && u.Exec != nil && u.Exec.equal(u.Exec.merge(want))
}

func (k *File) editError(line int) error {
	return lineError(k.Path, line, "this program cannot safely edit what is written here "+
		"(perhaps because of an anchor that is used elsewhere), so nothing was changed; "+
		"`kubectl config view --raw` prints the same configuration in a simple form")
}

// validate returns an error if no kubeconfig could hold the exec config.
func (e Exec) validate() error {
	texts := append([]string{e.APIVersion, e.Command, e.InstallHint, e.InteractiveMode}, e.Args...)
	for _, v := range e.Env {
		texts = append(texts, v.Name, v.Value)
	}
	if slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) }) {
		return errors.New("a kubeconfig cannot contain text that is not UTF-8")
	}
	return nil
}

// merge returns e with the changes that WithExecs documents. A nil e is an empty exec config.
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
		replaced := false
		for i := range goal.Env {
			if goal.Env[i].Name == v.Name {
				goal.Env[i].Value, replaced = v.Value, true
			}
		}
		if !replaced {
			goal.Env = append(goal.Env, v)
		}
	}
	return goal
}

func (e Exec) equal(o Exec) bool {
	return e.APIVersion == o.APIVersion && e.Command == o.Command &&
		slices.Equal(e.Args, o.Args) && slices.Equal(e.Env, o.Env) &&
		e.InstallHint == o.InstallHint && e.InteractiveMode == o.InteractiveMode &&
		equalBool(e.ProvideClusterInfo, o.ProvideClusterInfo)
}

func equalBool(a, b *bool) bool { return a == b || a != nil && b != nil && *a == *b }

// editor collects the splices that change one user's exec config.
type editor struct {
	splices
	oldUser User
	newExec Exec
}

// edit collects the splices. entry is the user's node.
func (e *editor) edit(entry *yaml.Node) {
	_, user := ownMember(entry, "user")
	if !isEditable(entry) || user != nil && user.Kind == yaml.AliasNode {
		e.markUnsupported(entry)
		return
	}
	e.detectStyle(entry) // the style next to the edit wins
	if user != nil {
		e.detectStyle(user)
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

// detectStyle sets e's style to that of n and the nodes below it.
func (e *editor) detectStyle(n *yaml.Node) {
	e.detectIndent(n)
	if isFlow(n) && len(n.Content) > 0 && n.Content[0].Style&yaml.DoubleQuotedStyle != 0 {
		e.quoteAll = true
	}
}

// detectIndent sets e.block to the widths by which the file indents mappings and lists below n.
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

// formatScalar returns s in the form in which it is written. It quotes s if old, the scalar that s
// replaces, is quoted; old is nil if there is none.
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
		name := e.formatScalar(v.Name, nil)
		list = append(list, []member{{"name", name}, {"value", quote(v.Value)}})
	}
	return list
}

// fieldChange is a field of the exec config and its new value.
type fieldChange struct {
	name     string
	differs  bool                       // whether the new value differs from the old one
	empty    bool                       // whether the new value is empty
	value    func(old *yaml.Node) any   // the new value, in place of old or, if that is nil, added
	editList func(key, list *yaml.Node) // edits an existing list; nil for a field that is no list
}

// changes returns all fields, in the order in which new ones are written.
func (e *editor) changes() []fieldChange {
	before, after := Exec{}, e.newExec
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
	args := fieldChange{
		name:     "args",
		differs:  !slices.Equal(before.Args, after.Args),
		empty:    len(after.Args) == 0,
		value:    func(*yaml.Node) any { return quotedItems(after.Args) },
		editList: e.editArgs,
	}
	env := fieldChange{
		name:     "env",
		differs:  !slices.Equal(before.Env, after.Env),
		empty:    len(after.Env) == 0,
		value:    func(*yaml.Node) any { return e.envItems(after.Env) },
		editList: e.editEnv,
	}
	clusterInfo := fieldChange{
		name:    "provideClusterInfo",
		differs: !equalBool(before.ProvideClusterInfo, after.ProvideClusterInfo),
		empty:   after.ProvideClusterInfo == nil,
		value:   func(*yaml.Node) any { return strconv.FormatBool(*after.ProvideClusterInfo) },
	}
	return []fieldChange{
		text("apiVersion", before.APIVersion, after.APIVersion),
		text("command", before.Command, after.Command),
		args,
		env,
		text("installHint", before.InstallHint, after.InstallHint),
		text("interactiveMode", before.InteractiveMode, after.InteractiveMode),
		clusterInfo,
	}
}

// execMembers returns the whole new exec config.
func (e *editor) execMembers() []member {
	all := []member{}
	for _, c := range e.changes() {
		if !c.empty {
			all = append(all, member{c.name, c.value(nil)})
		}
	}
	return all
}

// editExec edits an existing exec config field by field. It adds new fields after all other edits:
// a list at the end of the exec config may grow at the place where they go.
func (e *editor) editExec(exec *yaml.Node) {
	for _, adding := range []bool{false, true} {
		for _, c := range e.changes() {
			key, old := ownMember(exec, c.name)
			switch {
			case !c.differs || adding != (old == nil):
			case c.editList != nil && isEditable(old):
				c.editList(key, old)
			default:
				e.setMember(exec, c.name, c.value(old))
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
		replaced := min(h.removed, len(h.added))
		for i := range replaced {
			e.setValue(list.Content[h.index+i], e.column(list), quote(h.added[i]))
		}
		if h.removed > replaced {
			e.removeItems(list, h.index+replaced, h.index+h.removed)
		}
		if len(h.added) > replaced {
			e.insertItems(list, h.index+replaced, quotedItems(h.added[replaced:]))
		}
	}
}
