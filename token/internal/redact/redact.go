// Package redact removes secrets, control characters and excess length from text before akslogin
// shows or logs it.
//
// [Line] and [Excerpt] recognize tokens and secrets by their form, in text of any origin. [Secrets]
// and [NewHandler] remove secrets whose values are known.
package redact

import (
	"net/url"
	"strings"
	"unicode"
)

const (
	maxLine     = 900 // bytes of Line's result: Kubernetes clients show one line of bounded length
	maxExcerpt  = 500 // bytes of Excerpt's result
	placeholder = "[redacted]"
)

// Line returns s as a single line of at most 900 bytes (and an ellipsis). It has no control
// characters, and no words that look like a token or a secret.
func Line(s string) string { return sanitize(s, maxLine) }

// Excerpt is like Line, for text from outside that becomes a part of a sentence: at most 500 bytes.
func Excerpt(s string) string { return sanitize(s, maxExcerpt) }

// URL returns the scheme and the host of a URL, the parts that hold no secret. It returns text
// without a host as it is, unless an "@" shows that the text may hold a password.
func URL(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host + "/"
	}
	if strings.Contains(raw, "@") {
		return "...@..."
	}
	return raw
}

// IsPlain reports whether s is not empty and consists of ASCII letters, digits and the characters
// in more. With suitable ones in more, s needs no escaping in a URL, a form or a log line.
func IsPlain(s, more string) bool {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.ContainsRune(more, c):
		default:
			return false
		}
	}
	return s != ""
}

// sanitize implements Line and Excerpt. It bounds its work by limit, however long s is.
func sanitize(s string, limit int) string {
	s = s[:min(len(s), 16*limit)]
	var redacted strings.Builder
	for word := range splitWords(s) {
		if LooksLikeSecret(word) {
			word = placeholder
		}
		redacted.WriteString(word)
		if redacted.Len() > 2*limit {
			break
		}
	}
	line := singleLine(redacted.String())
	if len(line) > limit {
		line = strings.ToValidUTF8(line[:limit], "") + "…"
	}
	return line
}

// splitWords yields the parts of s in order: runs of characters that occur in tokens, and the text
// between such runs.
func splitWords(s string) func(yield func(string) bool) {
	inToken := func(c byte) bool { return c < 0x80 && IsPlain(string(c), "-_.~+=%") }
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

// LooksLikeSecret reports whether word may be a token, a secret or a part of one. There are two
// signs of that:
//
//   - A part of the word starts with "eyJ", as the parts of a JWT do, and has 16 bytes or more.
//   - The word has 32 bytes or more, with letters in upper and in lower case, and its characters
//     change as often as in random text. A change is that a letter in upper case, a letter in lower
//     case, a digit or another character follows one of another kind. Two changes in five
//     characters are enough.
//
// GUIDs and hashes have letters in one case only, and names consist of syllables. Neither looks
// like a secret.
func LooksLikeSecret(word string) bool {
	return hasJWTPart(word) || looksRandom(word)
}

func hasJWTPart(word string) bool {
	for i := 0; i < len(word); i++ {
		next := strings.Index(word[i:], "eyJ")
		if next < 0 {
			return false
		}
		i += next
		afterEscape := i >= 3 && word[i-3] == '%' // %3D, for example
		startsPart := i == 0 || classOf(word[i-1]) == otherChar || afterEscape
		if startsPart && len(word)-i >= 16 {
			return true
		}
	}
	return false
}

func looksRandom(word string) bool {
	if len(word) < 32 {
		return false
	}
	changes, seen := 0, map[charClass]bool{}
	for i := range len(word) {
		seen[classOf(word[i])] = true
		if i > 0 && classOf(word[i]) != classOf(word[i-1]) {
			changes++
		}
	}
	return seen[upperCase] && seen[lowerCase] && changes*5 >= len(word)*2
}

type charClass int

const (
	otherChar charClass = iota
	upperCase
	lowerCase
	digit
)

func classOf(c byte) charClass {
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

// singleLine replaces runs of white space and control characters by one space each, and removes
// invisible characters and invalid UTF-8. The invisible ones include those that change the
// direction of text.
func singleLine(s string) string {
	fields := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || unicode.IsControl(c) })
	visible := strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) {
			return -1
		}
		return c
	}, strings.Join(fields, " "))
	return strings.ToValidUTF8(visible, "")
}
