package redact

import (
	"net/url"
	"strings"
	"unicode"
)

// IsPlain tells whether s is made of ASCII letters, digits and the characters in more, and not
// empty: it can then stand in a URL, a form and a log line as it is.
func IsPlain(s, more string) bool {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z',
			'A' <= c && c <= 'Z',
			'0' <= c && c <= '9',
			strings.ContainsRune(more, c):
		default:
			return false
		}
	}
	return s != ""
}

// URL is what may be shown of a URL: scheme and host.
func URL(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host + "/"
	}
	before, _, _ := strings.Cut(raw, "@")
	if before != raw {
		return "...@..."
	}
	return raw
}

const (
	maxExcerpt = 500

	maxLine = 900 // hosts show one line, of bounded length

	placeholder = "[redacted]"
)

// Line makes text fit to be shown on a line of its own.
func Line(s string) string { return sanitize(s, maxLine) }

// Excerpt makes foreign text fit for a sentence.
func Excerpt(s string) string { return sanitize(s, maxExcerpt) }

// sanitize makes text fit for a terminal, a log and a ticket: one line, no control characters, of
// at most so many bytes, and without anything that looks like a token (see secretive).
func sanitize(s string, atMost int) string {
	s = s[:min(len(s), 16*atMost)]
	var out strings.Builder
	for word := range splitWords(s) {
		if LooksLikeSecret(word) {
			word = placeholder
		}
		out.WriteString(word)
		if out.Len() > 2*atMost {
			break
		}
	}
	text := singleLine(out.String())
	if len(text) > atMost {
		text = strings.ToValidUTF8(text[:atMost], "") + "…"
	}
	return text
}

// splitWords cuts s into runs of characters that tokens are made of, and what is between them.
func splitWords(s string) func(yield func(string) bool) {
	inToken := func(c byte) bool { return IsPlain(string(c), "-_.~+=%") && c < 0x80 }
	return func(yield func(string) bool) {
		for start := 0; start < len(s); {
			end := start + 1
			for end < len(s) && inToken(s[end]) == inToken(s[start]) {
				end++
			}
			if !yield(s[start:end]) {
				return
			}
			start = end
		}
	}
}

// LooksLikeSecret tells whether a word may be a token, a secret or a piece of one: a part of it
// begins as a JWT's parts do, or it is long and changes between capitals, small letters, digits and
// others at every other character, as chance does. GUIDs and hashes have letters of one kind, names
// have syllables.
func LooksLikeSecret(word string) bool {
	for i := 0; i < len(word); i++ {
		at := strings.Index(word[i:], "eyJ")
		if at < 0 {
			break
		}
		i += at
		begins := i == 0 || kindOf(word[i-1]) == otherChar || (i >= 3 && word[i-3] == '%')
		if begins && len(word)-i >= 16 {
			return true
		}
	}
	if len(word) < 32 {
		return false
	}
	changes, seen := 0, map[charKind]bool{}
	for i := range len(word) {
		seen[kindOf(word[i])] = true
		if i > 0 && kindOf(word[i]) != kindOf(word[i-1]) {
			changes++
		}
	}
	return seen[upperCase] && seen[lowerCase] && changes*5 >= len(word)*2
}

type charKind int

const (
	otherChar charKind = iota

	upperCase

	lowerCase

	digit
)

func kindOf(c byte) charKind {
	switch {
	case 'A' <= c && c <= 'Z':
		return upperCase
	case 'a' <= c && c <= 'z':
		return lowerCase
	case '0' <= c && c <= '9':
		return digit
	}
	return otherChar
}

// singleLine puts text on one line without control characters and other invisible ones.
func singleLine(s string) string {
	fields := strings.FieldsFunc(
		s,
		func(c rune) bool { return c <= ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) },
	)
	return strings.ToValidUTF8(strings.Map(func(c rune) rune {
		if unicode.In(
			c,
			unicode.Cf,
			unicode.Zl,
			unicode.Zp,
		) { // invisible ones, and those that turn the direction
			return -1
		}
		return c
	}, strings.Join(fields, " ")), "")
}
