package kubeconfig

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// member is a member of a mapping to be written. Its value is a string (a scalar in the form in
// which the file shows it), a []any of such values, or a []member.
type member struct {
	key   string
	value any
}

// blockStyle holds the widths of indentation in block style, in columns: of mappings and of lists
// below their keys, and of items after their dashes.
type blockStyle struct{ mapping, list, dash int }

// lines returns the lines of a member, without line breaks.
func (b blockStyle) lines(m member, indent string) []string {
	switch v := m.value.(type) {
	case []any:
		if len(v) > 0 {
			return append([]string{indent + m.key + ":"}, b.items(v, indent+spaces(b.list))...)
		}
	case []member:
		if len(v) > 0 {
			return append([]string{indent + m.key + ":"}, b.members(v, indent+spaces(b.mapping))...)
		}
	}
	return []string{indent + m.key + ": " + flowStyle{}.text(m.value, "")}
}

func (b blockStyle) members(list []member, indent string) (lines []string) {
	for _, m := range list {
		lines = append(lines, b.lines(m, indent)...)
	}
	return lines
}

func (b blockStyle) items(list []any, indent string) (lines []string) {
	for _, v := range list {
		item := []string{fmt.Sprint(v)}
		if mapping, ok := v.([]member); ok {
			item = b.members(mapping, indent+spaces(b.dash))
		}
		item[0] = indent + "-" + spaces(b.dash-1) + strings.TrimLeft(item[0], " ")
		lines = append(lines, item...)
	}
	return lines
}

func spaces(n int) string { return strings.Repeat(" ", max(n, 0)) }

// flowStyle is the style of a collection in brackets, as in [a, b] and {a: b}.
type flowStyle struct {
	separator string // between members: a comma and the space after it
	colon     string // between key and value; ": " if empty
	unit      string // of indentation, if each member has its own line; otherwise empty
	quoted    bool   // whether keys are quoted
}

func (f flowStyle) text(v any, indent string) string {
	open, end := "[", "]"
	var parts []string
	switch v := v.(type) {
	case string:
		return v
	case []any:
		for _, item := range v {
			parts = append(parts, f.text(item, indent+f.unit))
		}
	case []member:
		open, end = "{", "}"
		for _, m := range v {
			parts = append(parts, f.member(m, indent+f.unit))
		}
	}
	if f.unit == "" || len(parts) == 0 {
		return open + strings.Join(parts, ", ") + end
	}
	eol := "\n"
	if strings.Contains(f.separator, "\r\n") {
		eol = "\r\n"
	}
	inner := eol + indent + f.unit
	return open + inner + strings.Join(parts, ","+inner) + eol + indent + end
}

func (f flowStyle) member(m member, indent string) string {
	key := m.key
	if f.quoted {
		key = quote(key)
	}
	return key + cmp.Or(f.colon, ": ") + f.text(m.value, indent)
}

// quote returns s as a quoted string that JSON and every version of YAML read alike.
func quote(s string) string {
	quoted, _ := marshalJSON(s) // encoding a string cannot fail
	return string(quoted)
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/"

// reservedWords are not strings without quotes in some version of YAML.
var reservedWords = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// plainOrQuoted returns s without quotes if every version of YAML reads that as the string s, and
// quoted otherwise.
func plainOrQuoted(s string) string {
	if s == "" || !strings.Contains(letters, s[:1]) ||
		strings.Trim(s, letters+"0123456789_.-") != "" ||
		slices.Contains(reservedWords, strings.ToLower(s)) {
		return quote(s)
	}
	return s
}
