package kubeconfig

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// layout finds the positions of nodes in their text, in bytes. The yaml package reports only the
// line and column where a node begins. layout finds the end by rules for what people and programs
// write. The rules need not hold for all of YAML, because every edit is verified.
//
// A position that was not found is negative or outside of the text; splices.apply refuses it.
type layout struct {
	text       []byte
	lines      []int // positions of the lines' first bytes
	firstChars []int // numbers of the lines' first characters in the text
	marks      []int // positions of every markInterval-th character
}

// markInterval bounds the characters to count from a mark: a file may be one long line.
const markInterval = 32

func newLayout(text []byte) layout {
	l := layout{text: text, lines: []int{0}, firstChars: []int{0}}
	for at, char := 0, 0; ; char++ {
		if char%markInterval == 0 {
			l.marks = append(l.marks, at)
		}
		if at >= len(text) {
			return l
		}
		_, size := utf8.DecodeRune(text[at:])
		endsLine := l.lineBreak(at) == size // false between the characters of "\r\n"
		if at += size; endsLine {
			l.lines, l.firstChars = append(l.lines, at), append(l.firstChars, char+1)
		}
	}
}

// lineBreaks are the line breaks of YAML 1.1.
var lineBreaks = []string{"\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029"}

// lineBreak returns the length of the line break at a position, or 0 if there is none.
func (l layout) lineBreak(at int) int {
	if at < 0 || at >= len(l.text) || l.text[at] > '\r' && l.text[at] < 0x80 {
		return 0
	}
	for _, b := range lineBreaks {
		if bytes.HasPrefix(l.text[at:], []byte(b)) {
			return len(b)
		}
	}
	return 0
}

// byteAt returns the byte at a position, or 0 outside of the text.
func (l layout) byteAt(at int) byte {
	if at < 0 || at >= len(l.text) {
		return 0
	}
	return l.text[at]
}

// between returns the text between two positions, or "" if there is none.
func (l layout) between(from, to int) string {
	if from < 0 || to > len(l.text) || from > to {
		return ""
	}
	return string(l.text[from:to])
}

// lineStart returns the start of the line that contains a position.
func (l layout) lineStart(at int) int {
	i, found := slices.BinarySearch(l.lines, at)
	if !found {
		i--
	}
	return l.lines[max(i, 0)]
}

// lineEnd returns the end of the line that contains a position, before its line break.
func (l layout) lineEnd(at int) int {
	for at >= 0 && at < len(l.text) && l.lineBreak(at) == 0 {
		at++
	}
	return at
}

// eol returns the line break to use for lines inserted at a position: that of the line there, or of
// the line before if the last line has none.
func (l layout) eol(at int) string {
	end := l.lineEnd(at)
	if end >= len(l.text) && l.lineStart(at) > 0 {
		end = l.lineStart(at) - 1
		if l.byteAt(end-1) == '\r' {
			end--
		}
	}
	if l.between(end, end+2) == "\r\n" {
		return "\r\n"
	}
	return "\n"
}

// begin returns the position of a node, including its anchor and tag.
func (l layout) begin(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(l.lines) {
		return -1
	}
	char := l.firstChars[n.Line-1] + n.Column - 1 // columns count characters
	if char/markInterval >= len(l.marks) {
		return -1
	}
	at := l.marks[char/markInterval]
	for range char % markInterval {
		_, size := utf8.DecodeRune(l.text[at:])
		at += size
	}
	return at
}

// contentStart returns the position of a node's content, after its anchor and tag.
func (l layout) contentStart(n *yaml.Node) int {
	at := l.begin(n)
	after := at
	for n.Kind != yaml.AliasNode && (l.byteAt(at) == '&' || l.byteAt(at) == '!') {
		after = at
		for after < len(l.text) && !strings.ContainsRune(" \t\r\n", rune(l.text[after])) {
			after++
		}
		at = l.skipSpace(after)
	}
	if n.Kind == yaml.ScalarNode && n.Value == "" && !isQuoted(n) && !isBlockScalar(n) {
		return after // an empty value; what skipSpace found belongs to another node
	}
	return at
}

// skipSpace returns the next position that is not in space, a line break or a comment.
func (l layout) skipSpace(at int) int {
	for at >= 0 && at < len(l.text) {
		c := l.text[at]
		switch {
		case c == ' ' || c == '\t':
			at++
		case l.lineBreak(at) > 0:
			at += l.lineBreak(at)
		case c == '#':
			at = l.lineEnd(at)
		default:
			return at
		}
	}
	return at
}

func isBlockScalar(n *yaml.Node) bool { return n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 }

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// end returns the position after a node. indent is the column, counted from 0, of the mapping or
// list that contains it.
func (l layout) end(n *yaml.Node, indent int) int {
	at := l.contentStart(n)
	switch {
	case n.Kind == yaml.AliasNode:
		return at + len("*") + len(n.Value)
	case n.Kind == yaml.ScalarNode:
		return l.scalarEnd(n, at, indent)
	case isFlow(n):
		return l.flowEnd(n, at)
	}
	return l.end(n.Content[len(n.Content)-1], l.indent(n))
}

// flowEnd returns the position after the closing bracket of a flow collection that begins at a
// position.
func (l layout) flowEnd(n *yaml.Node, at int) int {
	at++
	if len(n.Content) > 0 {
		at = l.end(n.Content[len(n.Content)-1], 0)
	}
	if at = l.skipSpace(at); l.byteAt(at) == ',' {
		at = l.skipSpace(at + 1)
	}
	if c := l.byteAt(at); c != ']' && c != '}' {
		return -1
	}
	return at + 1
}

// indent returns the column, counted from 0, of a block mapping's keys or a block list's dashes.
func (l layout) indent(n *yaml.Node) int {
	at := l.contentStart(n)
	if n.Kind == yaml.MappingNode {
		at = l.begin(n.Content[0])
	}
	return at - l.lineStart(at)
}

// scalarEnd returns the position after a scalar whose content begins at a position.
func (l layout) scalarEnd(n *yaml.Node, at, indent int) int {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for at++; l.byteAt(at) != '"'; at++ {
			if at >= len(l.text) {
				return -1
			}
			if l.text[at] == '\\' {
				at++
			}
		}
		return at + 1
	case n.Style&yaml.SingleQuotedStyle != 0:
		for at++; l.byteAt(at) != '\'' || l.byteAt(at+1) == '\''; at++ {
			if at >= len(l.text) {
				return -1
			}
			if l.text[at] == '\'' {
				at++
			}
		}
		return at + 1
	case isBlockScalar(n):
		return l.blockScalarEnd(at, indent)
	}
	return l.plainScalarEnd(n.Value, at)
}

// plainScalarEnd returns the position after an unquoted scalar by matching its value. In the text,
// one line break stands for a space in the value, and n of them stand for n-1 line breaks.
func (l layout) plainScalarEnd(value string, at int) int {
	for value != "" {
		if l.lineBreak(at) == 0 && strings.IndexByte(" \t", l.byteAt(at)) < 0 {
			if l.byteAt(at) != value[0] {
				return -1
			}
			at, value = at+1, value[1:]
			continue
		}
		start, breaks := at, 0
		for {
			if n := l.lineBreak(at); n > 0 {
				at, breaks = at+n, breaks+1
			} else if c := l.byteAt(at); c == ' ' || c == '\t' {
				at++
			} else {
				break
			}
		}
		folded := l.between(start, at)
		switch breaks {
		case 0:
		case 1:
			folded = " "
		default:
			folded = strings.Repeat("\n", breaks-1)
		}
		if !strings.HasPrefix(value, folded) {
			return -1
		}
		value = value[len(folded):]
	}
	return at
}

// blockScalarEnd returns the end of the last line of a block scalar, '|' or '>'. Empty lines after
// the text count if they may be part of the value.
func (l layout) blockScalarEnd(at, indent int) int {
	end := l.lineEnd(at)
	header, _, _ := strings.Cut(l.between(at, end), "#")
	keep := strings.Contains(header, "+")
	own := -1 // the indentation of the scalar's text; not known yet
	if i := strings.IndexAny(header, "123456789"); i >= 0 {
		own = max(indent, 0) + int(header[i]-'0')
	}
	for next := end + l.lineBreak(end); next > end && next < len(l.text); {
		stop := l.lineEnd(next)
		line := l.between(next, stop)
		width := len(line) - len(strings.TrimLeft(line, " "))
		switch blank := width == len(line); {
		case !blank && own < 0 && width > indent:
			own = width
			end = stop
		case !blank && (own < 0 || width < own):
			return end
		case !blank, keep, own >= 0 && width > own:
			end = stop
		}
		next = stop + l.lineBreak(stop)
		if l.lineBreak(stop) == 0 {
			break
		}
	}
	return end
}
