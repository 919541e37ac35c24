package kubeconfig

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// splice replaces a range of a text, in bytes.
type splice struct {
	from, to int
	text     string
}

// splices collects changes of a text. A method that cannot make its change safely calls
// markUnsupported instead of returning an error.
type splices struct {
	layout
	block           blockStyle
	quoteAll        bool // whether keys and strings are quoted
	list            []splice
	unsupportedLine int // line of a node that cannot be edited, or 0
}

func (s *splices) markUnsupported(n *yaml.Node) { s.unsupportedLine = max(n.Line, 1) }

func (s *splices) replace(from, to int, text string) {
	s.list = append(s.list, splice{from, to, text})
}

func (s *splices) insert(at int, text string) { s.replace(at, at, text) }

// apply returns the text with all splices made. Splices at the same position keep the order in
// which they were collected. apply returns false if splices overlap or lie outside of the text.
func (s *splices) apply() ([]byte, bool) {
	slices.SortStableFunc(s.list, func(a, b splice) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	var out []byte
	at := 0
	for _, p := range s.list {
		if p.from < at || p.to < p.from || p.to > len(s.text) {
			return nil, false
		}
		out = append(append(out, s.text[at:p.from]...), p.text...)
		at = p.to
	}
	return append(out, s.text[at:]...), true
}

// ownMember returns a member of the mapping itself, not of one that is merged into it, or nils.
func ownMember(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// isEditable reports whether n is a mapping or list with content. An alias of one is not.
func isEditable(n *yaml.Node) bool {
	return n != nil && n.Kind != yaml.AliasNode && len(n.Content) > 0
}

// column returns the indentation of a block collection, and 0 for a flow collection.
func (l layout) column(n *yaml.Node) int {
	if isFlow(n) {
		return 0
	}
	return l.indent(n)
}

// setMember sets the value of a mapping's member. It adds a missing member at the mapping's end.
func (s *splices) setMember(mapping *yaml.Node, name string, value any) {
	key, old := ownMember(mapping, name)
	column := s.column(mapping)
	_, isScalar := value.(string)
	style, indent := s.flowStyleOf(mapping)
	switch {
	case old == nil && isFlow(mapping):
		last := mapping.Content[len(mapping.Content)-1]
		s.insert(s.end(last, 0), style.separator+style.member(member{name, value}, indent))
	case old == nil:
		last := mapping.Content[len(mapping.Content)-1]
		s.insertLines(s.end(last, column), s.block.lines(member{name, value}, spaces(column)))
	case isScalar:
		s.setValue(old, column, value.(string))
	case isFlow(mapping):
		s.setValue(old, column, style.text(value, indent))
	case isEditable(old):
		s.markUnsupported(old)
	default:
		lines := s.block.lines(member{key.Value, value}, spaces(column))
		from, to := s.contentStart(old), s.end(old, column)
		for c := s.byteAt(from - 1); c == ' ' || c == '\t'; c = s.byteAt(from - 1) {
			from--
		}
		s.replace(from, to, strings.TrimPrefix(lines[0], spaces(column)+key.Value+":"))
		s.insertLines(to, lines[1:])
	}
}

// insertLines adds lines after the line that contains a position.
func (s *splices) insertLines(at int, lines []string) {
	eol, at := s.eol(at), s.lineEnd(at)
	for _, line := range lines {
		s.insert(at, eol+line)
	}
}

// flowStyleOf returns the style of the members between n's brackets, and the indentation of their
// lines, which is empty if they share a line.
func (s *splices) flowStyleOf(n *yaml.Node) (f flowStyle, indent string) {
	f = flowStyle{separator: ", ", colon: ": ", quoted: s.quoteAll}
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	if len(n.Content) < step {
		return f, ""
	}
	if step == 2 {
		key, value := n.Content[0], n.Content[1]
		f.quoted = f.quoted || key.Style&yaml.DoubleQuotedStyle != 0
		if c := s.between(s.end(key, 0), s.begin(value)); f.quoted && (c == ":" || c == " : ") {
			f.colon = c
		}
	}
	lead := s.between(s.contentStart(n)+1, s.begin(n.Content[0]))
	if len(n.Content) > step {
		lead = s.between(s.end(n.Content[step-1], 0), s.begin(n.Content[step]))
		lead = strings.TrimPrefix(lead, ",")
	}
	if strings.Trim(lead, " \t\r\n") != "" || lead != "" && !strings.ContainsAny(lead, "\n") {
		return f, ""
	}
	if lead == "" && len(n.Content) == step {
		return f, "" // a single member shows no separator
	}
	f.separator = "," + lead
	if lead == "" {
		return f, ""
	}
	indent = lead[strings.LastIndexByte(lead, '\n')+1:]
	last := s.flowEnd(n, s.contentStart(n)) - 1
	outer := s.between(s.lineStart(last), last)
	if strings.Trim(outer, " \t") == "" && strings.HasPrefix(indent, outer) {
		f.unit = indent[len(outer):]
	}
	return f, indent
}

// setValue replaces the content of a node by text. Its anchor and tag stay, and so does a comment
// after the sign of a block scalar.
func (s *splices) setValue(n *yaml.Node, column int, text string) {
	from, to := s.contentStart(n), s.end(n, column)
	if from == to && strings.IndexByte(" \t", s.byteAt(from-1)) < 0 {
		text = " " + text // the position is right after a colon or a dash
	}
	if comment := s.headerComment(n); comment >= 0 {
		s.replace(from, comment, text+" ")
		from, text = s.lineEnd(comment), ""
	}
	s.replace(from, to, text)
}

// headerComment returns the position of the comment on the line with a block scalar's sign, '|' or
// '>', or a negative number if there is none.
func (s *splices) headerComment(n *yaml.Node) int {
	if !isBlockScalar(n) {
		return -1
	}
	from := s.contentStart(n)
	i := strings.IndexByte(s.between(from, s.lineEnd(from)), '#')
	if i < 0 {
		return -1
	}
	return from + i
}

// replaceMember replaces a member by another one, in its lines or between its commas.
func (s *splices) replaceMember(mapping, key, value *yaml.Node, m member) {
	column := s.column(mapping)
	from, to := s.begin(key), s.end(value, column)
	if isFlow(mapping) {
		style, indent := s.flowStyleOf(mapping)
		s.replace(from, to, style.member(m, indent))
		return
	}
	lines := s.block.lines(m, spaces(column))
	lines[0] = strings.TrimLeft(lines[0], " ")
	s.replace(from, s.lineEnd(to), strings.Join(lines, s.eol(from)))
}

// removeMember removes a member and its lines, or one of its commas.
func (s *splices) removeMember(mapping, key, value *yaml.Node) {
	column := s.column(mapping)
	if isFlow(mapping) {
		i := slices.Index(mapping.Content, key)
		s.removeFlow(mapping, 2, i/2, i/2+1)
		return
	}
	if s.begin(key) != s.lineStart(s.begin(key))+column {
		s.markUnsupported(key) // the line starts with something else, such as a dash
	}
	s.removeLines(s.begin(key), s.end(value, column))
}

// removeLines removes the lines from one position to another, and the line break before them. The
// break after them stays, for lines that are inserted in their place.
func (s *splices) removeLines(from, to int) {
	if start := s.lineStart(from); start > 0 {
		s.replace(s.lineEnd(s.lineStart(start-1)), s.lineEnd(to), "")
		return
	}
	s.replace(0, s.lineEnd(to)+s.lineBreak(s.lineEnd(to)), "")
}

// dashPosition returns the position of the dash of item i of a block list.
func (s *splices) dashPosition(list *yaml.Node, i int) int {
	column, at := s.indent(list), s.begin(list.Content[i])
	for start := s.lineStart(at); start >= 0 && at >= 0; start = s.lineStart(start - 1) {
		if dash := start + column; dash < at && s.byteAt(dash) == '-' &&
			strings.Trim(s.between(start, dash), " ") == "" {
			return dash
		}
		if start == 0 {
			break
		}
	}
	s.markUnsupported(list)
	return -1
}

// dashWidth returns the number of columns from a block list's dashes to its items.
func (s *splices) dashWidth(list *yaml.Node) int {
	dash, item := s.contentStart(list), s.begin(list.Content[0])
	if item > dash+1 && strings.Trim(s.between(dash+1, item), " ") == "" {
		return item - dash
	}
	return 2
}

// insertItems adds items to a list that is not empty, before the item with the index at.
func (s *splices) insertItems(list *yaml.Node, at int, items []any) {
	column := s.column(list)
	if isFlow(list) {
		style, indent := s.flowStyleOf(list)
		for _, item := range items {
			if at == 0 {
				s.insert(s.begin(list.Content[0]), style.text(item, indent)+style.separator)
			} else {
				s.insert(s.end(list.Content[at-1], 0), style.separator+style.text(item, indent))
			}
		}
		return
	}
	style := s.block
	style.dash = s.dashWidth(list)
	lines := style.items(items, spaces(column))
	if at > 0 {
		s.insertLines(s.end(list.Content[at-1], column), lines)
		return
	}
	dash := s.dashPosition(list, 0)
	for _, line := range lines {
		s.insert(s.lineStart(dash), line+s.eol(dash))
	}
}

// removeItems removes the items from..to-1 of a list that keeps or gets other items. Comments stay.
func (s *splices) removeItems(list *yaml.Node, from, to int) {
	if isFlow(list) {
		s.removeFlow(list, 1, from, to)
		return
	}
	for i := from; i < to; i++ {
		start, end := s.dashPosition(list, i), s.end(list.Content[i], s.column(list))
		comment := strings.IndexByte(s.between(end, s.lineEnd(end)), '#')
		switch header := s.headerComment(list.Content[i]); {
		case header >= 0:
			s.replace(start, header, "")
			s.replace(s.lineEnd(header), end, "")
		case comment >= 0:
			s.replace(start, end+comment, "")
		case strings.Contains(s.between(start, s.contentStart(list.Content[i])), "#"):
			s.markUnsupported(list.Content[i])
		default:
			s.removeLines(start, end)
		}
	}
}

// removeFlow removes the members from..to-1 of a flow collection whose members have that many nodes
// each. Comments between them stay.
func (s *splices) removeFlow(n *yaml.Node, nodes, from, to int) {
	count := len(n.Content) / nodes
	begin := func(i int) int { return s.begin(n.Content[i*nodes]) }
	end := func(i int) int { return s.end(n.Content[i*nodes+nodes-1], 0) }
	first, last := begin(from), end(to-1)
	gaps := ""
	for i := from; i < min(to, count-1); i++ {
		gaps += s.between(end(i), begin(i+1))
	}
	switch {
	case to < count:
		last = begin(to)
	case from > 0:
		first = end(from - 1)
		gaps += s.between(first, begin(from))
	}
	if !strings.Contains(gaps, "#") {
		s.replace(first, last, "")
		if to-from == count {
			s.removeComma(last)
		}
		return
	}
	for i := from; i < to; i++ { // YAML allows a comma after the last member
		s.replace(begin(i), end(i), "")
		s.removeComma(end(i))
	}
}

// removeComma removes a comma that follows a position, past spaces and comments.
func (s *splices) removeComma(after int) {
	if comma := s.skipSpace(after); s.byteAt(comma) == ',' {
		s.replace(comma, comma+1, "")
	}
}

// clearList makes the list with the given key of a mapping an empty list. Comments stay.
func (s *splices) clearList(key, list *yaml.Node) {
	if isFlow(list) {
		s.removeFlow(list, 1, 0, len(list.Content))
		return
	}
	colon := s.skipSpace(s.end(key, 0))
	if s.byteAt(colon) != ':' || s.contentStart(list) != s.begin(list) {
		s.markUnsupported(list)
	}
	s.insert(colon+1, " []")
	s.removeItems(list, 0, len(list.Content))
}
