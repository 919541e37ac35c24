package kubeconfig

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A value to be written is a string (a scalar as it stands in the file), a []any or a []member.
type member struct {
	key   string
	value any
}

// blockStyle is how far things are indented: mappings and lists under their keys, items after their
// dashes.
type blockStyle struct{ mapping, list, dash int }

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

// flowStyle is how things stand between brackets.
type flowStyle struct {
	separator string // between members: a comma and what follows
	colon     string // and what follows
	unit      string // of indentation, where each member has its own line
	quoted    bool   // keys are
}

func (f flowStyle) text(v any, indent string) string {
	open, parts, end := "[", []string{}, "]"
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

// quote is a string that JSON and every version of YAML read alike.
func quote(s string) string {
	var coded, b strings.Builder
	e := json.NewEncoder(&coded)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can be encoded
	for _, r := range strings.TrimSuffix(coded.String(), "\n") {
		if r >= 0x7f && r <= 0x9f || r == '\ufeff' || r == '\ufffe' ||
			r == '\uffff' { // JSON takes them as they are
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/"

// reservedWords are no strings without quotes, in one version of YAML or another.
var reservedWords = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// plainOrQuoted leaves the quotes out where every version of YAML reads a string without.
func plainOrQuoted(s string) string {
	if s == "" || !strings.Contains(letters, s[:1]) ||
		strings.Trim(s, letters+"0123456789_.-") != "" ||
		slices.Contains(reservedWords, strings.ToLower(s)) {
		return quote(s)
	}
	return s
}
