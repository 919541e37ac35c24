package kubeconfig

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// nodeReader takes nodes for what they should be. Its first error stays; from then on everything is
// empty.
type nodeReader struct {
	path    string
	err     error
	visited int
}

const (
	maxVisited = 1 << 20 // far more than a file without aliases needs; a few lines of aliases could need any number
	maxDepth   = 100     // of a cluster's fields
)

// field is a member of a mapping, or of one that is merged into it ("<<").
type field struct {
	key, value *yaml.Node
	merged     bool
}

type fields []field

func (f fields) find(name string) *field {
	if i := slices.IndexFunc(f, func(f field) bool { return f.key.Value == name }); i >= 0 {
		return &f[i]
	}
	return nil
}

// get returns a field's value, nil if there is none.
func (f fields) get(name string) *yaml.Node {
	if found := f.find(name); found != nil {
		return found.value
	}
	return nil
}

func resolveAlias(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// isEmpty says whether a field that has this value could as well be absent.
func isEmpty(n *yaml.Node) bool {
	return n == nil || isNull(n) || n.Kind == yaml.ScalarNode && n.Value == "" ||
		n.Kind != yaml.ScalarNode && len(n.Content) == 0
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func (r *nodeReader) fail(n *yaml.Node, what string) {
	if r.err == nil {
		r.err = lineError(r.path, n.Line, "%s", what)
	}
}

// visit counts the nodes that are looked at.
func (r *nodeReader) visit(n *yaml.Node) bool {
	if r.visited += 1 + len(n.Content); r.visited > maxVisited {
		r.fail(n, "too many entries, or aliases")
	}
	return r.err == nil
}

// fields are the members of a mapping in the file's order, then those merged into it; null and nil
// have none.
func (r *nodeReader) fields(n *yaml.Node, what string) fields {
	n = resolveAlias(n)
	if n == nil || isNull(n) {
		return nil
	}
	return r.merge(nil, n, what, map[*yaml.Node]bool{})
}

// merge adds a mapping's members that are not yet there. A mapping that is merged again (done)
// would add nothing.
func (r *nodeReader) merge(all fields, n *yaml.Node, what string, done map[*yaml.Node]bool) fields {
	if n.Kind != yaml.MappingNode {
		r.fail(n, what+" is not a mapping")
	}
	if done[n] || !r.visit(n) {
		return all
	}
	merged := len(done) > 0
	done[n] = true
	above := map[string]bool{}
	for _, f := range all {
		above[f.key.Value] = true
	}
	here := map[string]bool{}
	var bases []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.fail(key, "a key that is not a string")
			return nil
		}
		if here[key.Value] {
			r.fail(key, "a key that stands above already in the same mapping")
			return nil
		}
		here[key.Value] = true
		switch {
		case key.ShortTag() == "!!merge":
			bases = append(bases, value)
		case !above[key.Value]:
			all = append(all, field{key, value, merged})
		}
	}
	for _, base := range bases {
		list := []*yaml.Node{base}
		if resolveAlias(base).Kind == yaml.SequenceNode {
			list = resolveAlias(base).Content
		}
		for _, b := range list {
			all = r.merge(all, resolveAlias(b), "what is merged ('<<')", done)
		}
	}
	return all
}

// items are the items of a list; null and nil have none.
func (r *nodeReader) items(n *yaml.Node, what string) []*yaml.Node {
	n = resolveAlias(n)
	if n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, what+" is not a list")
	}
	if !r.visit(n) {
		return nil
	}
	return n.Content
}

// text is the text of any scalar; that of null and nil is empty.
func (r *nodeReader) text(n *yaml.Node, what string) string {
	n = resolveAlias(n)
	if n == nil || isNull(n) {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!binary" {
		r.fail(n, what+" is not a string")
	}
	if !r.visit(n) {
		return ""
	}
	return n.Value
}

// bools are those of the YAML that clients speak, 1.1.
var bools = map[string]bool{
	"true":  true,
	"True":  true,
	"TRUE":  true,
	"yes":   true,
	"Yes":   true,
	"YES":   true,
	"on":    true,
	"On":    true,
	"ON":    true,
	"false": false,
	"False": false,
	"FALSE": false,
	"no":    false,
	"No":    false,
	"NO":    false,
	"off":   false,
	"Off":   false,
	"OFF":   false,
}

func (r *nodeReader) bool(n *yaml.Node, what string) *bool {
	n = resolveAlias(n)
	if n == nil || isNull(n) {
		return nil
	}
	value, ok := bools[n.Value]
	if !ok || n.Kind != yaml.ScalarNode || isQuoted(n) {
		r.fail(n, what+" is neither true nor false")
	}
	return &value
}

func isQuoted(
	n *yaml.Node,
) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0
}

// goValue is a value in Go's own types, those of JSON.
func (r *nodeReader) goValue(n *yaml.Node, depth int) any {
	n = resolveAlias(n)
	if depth > maxDepth {
		r.fail(n, "too deeply nested")
	}
	if !r.visit(n) {
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, r.goValue(item, depth+1))
		}
		return list
	case yaml.MappingNode:
		mapping := map[string]any{}
		for _, f := range r.fields(n, "a value") {
			mapping[f.key.Value] = r.goValue(f.value, depth+1)
		}
		return mapping
	}
	var value any = n.Value
	if slices.Contains([]string{"!!bool", "!!int", "!!float", "!!null"}, n.ShortTag()) {
		if err := n.Decode(&value); err != nil { // its words may quote the value
			r.fail(n, "a value that is not what its tag says")
		}
	}
	return value
}
