package kubeconfig

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// nodeReader reads values of expected types from YAML nodes. It records the first error in err, and
// returns empty values from then on.
type nodeReader struct {
	path    string
	err     error
	visited int
}

const (
	// maxVisited bounds the work that a few lines of nested aliases can cause. A file without
	// aliases needs far less.
	maxVisited = 1 << 20
	maxDepth   = 100 // of a cluster's fields
)

// field is a member of a mapping, or of a mapping that is merged into it ("<<").
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

// get returns a field's value, or nil if there is no such field.
func (f fields) get(name string) *yaml.Node {
	if found := f.find(name); found != nil {
		return found.value
	}
	return nil
}

// resolveAlias returns the node that an alias stands for, or n itself if n is not an alias.
func resolveAlias(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// isEmpty reports whether a field with this value means the same as an absent field.
func isEmpty(n *yaml.Node) bool {
	return n == nil || isNull(n) || n.Kind == yaml.ScalarNode && n.Value == "" ||
		n.Kind != yaml.ScalarNode && len(n.Content) == 0
}

// isEmptyScalar reports whether a value is null or an empty string.
func isEmptyScalar(n *yaml.Node) bool {
	n = resolveAlias(n)
	return isEmpty(n) && n.Kind == yaml.ScalarNode
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func (r *nodeReader) fail(n *yaml.Node, problem string) {
	if r.err == nil {
		r.err = lineError(r.path, n.Line, problem)
	}
}

// visit counts visited nodes and reports whether reading may go on.
func (r *nodeReader) visit(n *yaml.Node) bool {
	if r.visited += 1 + len(n.Content); r.visited > maxVisited {
		r.fail(n, "too many entries, or aliases")
	}
	return r.err == nil
}

// fields returns the members of a mapping in the file's order, followed by those merged into it.
// Null and nil have none. name is what errors call the mapping.
func (r *nodeReader) fields(n *yaml.Node, name string) fields {
	n = resolveAlias(n)
	if n == nil || isNull(n) {
		return nil
	}
	return r.merge(nil, n, name, map[*yaml.Node]bool{})
}

// merge appends the members of a mapping whose keys are not in all. seen holds the mappings that
// were merged before; merging one again would add nothing.
func (r *nodeReader) merge(all fields, n *yaml.Node, name string, seen map[*yaml.Node]bool) fields {
	if n.Kind != yaml.MappingNode {
		r.fail(n, name+" is not a mapping")
	}
	if seen[n] || !r.visit(n) {
		return all
	}
	merged := len(seen) > 0
	seen[n] = true
	overridden := map[string]bool{}
	for _, f := range all {
		overridden[f.key.Value] = true
	}
	own := map[string]bool{}
	var bases []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.fail(key, "a key that is not a string")
			return nil
		}
		if own[key.Value] {
			r.fail(key, "a duplicate key in the same mapping")
			return nil
		}
		own[key.Value] = true
		switch {
		case key.ShortTag() == "!!merge":
			bases = append(bases, value)
		case !overridden[key.Value]:
			all = append(all, field{key, value, merged})
		}
	}
	for _, base := range bases {
		list := []*yaml.Node{base}
		if resolveAlias(base).Kind == yaml.SequenceNode {
			list = resolveAlias(base).Content
		}
		for _, b := range list {
			all = r.merge(all, resolveAlias(b), "the value of a merge key ('<<')", seen)
		}
	}
	return all
}

// items returns the items of a list. Null and nil have none.
func (r *nodeReader) items(n *yaml.Node, name string) []*yaml.Node {
	n = resolveAlias(n)
	if n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, name+" is not a list")
	}
	if !r.visit(n) {
		return nil
	}
	return n.Content
}

// text returns the text of any scalar. The text of null and nil is empty.
func (r *nodeReader) text(n *yaml.Node, name string) string {
	n = resolveAlias(n)
	if n == nil || isNull(n) {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!binary" {
		r.fail(n, name+" is not a string")
	}
	if !r.visit(n) {
		return ""
	}
	return n.Value
}

// bools are the bools of YAML 1.1, the version that clients read.
var bools = map[string]bool{
	"true": true, "True": true, "TRUE": true, "false": false, "False": false, "FALSE": false,
	"yes": true, "Yes": true, "YES": true, "no": false, "No": false, "NO": false,
	"on": true, "On": true, "ON": true, "off": false, "Off": false, "OFF": false,
}

// bool returns the value of a bool, and nil for null and nil.
func (r *nodeReader) bool(n *yaml.Node, name string) *bool {
	n = resolveAlias(n)
	if n == nil || isNull(n) {
		return nil
	}
	value, ok := bools[n.Value]
	if !ok || n.Kind != yaml.ScalarNode || isQuoted(n) {
		r.fail(n, name+" is neither true nor false")
	}
	return &value
}

func isQuoted(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0
}

// goValue returns a value in the types that Cluster.Fields documents.
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
		if err := n.Decode(&value); err != nil { // err may quote the value
			r.fail(n, "a value that does not match its tag")
		}
	}
	return value
}
