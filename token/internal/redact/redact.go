// Package redact removes secrets, control characters, invisible characters and excess length from
// text before akslogin shows or logs it.
//
// [Remember] names the values that are secret. [Line], [Excerpt] and [NewHandler] remove those from
// text of any origin, whatever they look like. Line and Excerpt also recognize other tokens and
// secrets by their form.
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
// characters, no invisible ones, no remembered secret, and no words that look like a token or a
// secret.
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

// sanitize implements Line and Excerpt. It removes remembered secrets before anything else is left
// out, so that no part of one remains, and again when characters inside one have been left out.
func sanitize(s string, limit int) string {
	s = withoutSecrets(singleLine(withoutSecrets(s)))
	var redacted strings.Builder
	for word := range splitWords(s) {
		if LooksLikeSecret(word) && !isClaimsChallenge(word) {
			word = placeholder
		}
		redacted.WriteString(word)
		if redacted.Len() > limit {
			return strings.ToValidUTF8(redacted.String()[:limit], "") + "…"
		}
	}
	return redacted.String()
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
//     characters are enough. So is a part of 32 bytes as mixed as in random text, because a longer
//     name may surround the secret: see windowChanges.
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

const (
	randomWindow = 32 // bytes

	// windowChanges is how many changes between letters and digits mark a window as random. Neither
	// separators nor a capital before lower-case letters count, so names have one change a
	// syllable. Random base64url has 13 on average, and 99.7 % of its pieces of 64 bytes have a
	// window with 10.
	windowChanges = 10
)

func looksRandom(word string) bool {
	if len(word) < randomWindow {
		return false
	}
	changes := 0
	var inWord, inWindow [digit + 1]int // number of characters by class
	changesInWindow := 0
	for i := range len(word) {
		class := classOf(word[i])
		inWord[class]++
		inWindow[class]++
		if i > 0 && class != classOf(word[i-1]) {
			changes++
		}
		changesInWindow += windowChange(word, i)
		if i >= randomWindow {
			inWindow[classOf(word[i-randomWindow])]--
			changesInWindow -= windowChange(word, i-randomWindow+1)
		}
		if inWindow[upperCase] > 0 && inWindow[lowerCase] > 0 && changesInWindow >= windowChanges {
			return true
		}
	}
	return inWord[upperCase] > 0 && inWord[lowerCase] > 0 && changes*5 >= len(word)*2
}

// windowChange returns 1 if word[i] is a change from the byte before it as windowChanges counts
// them, else 0.
func windowChange(word string, i int) int {
	if i == 0 {
		return 0
	}
	before, after := classOf(word[i-1]), classOf(word[i])
	if before == after || before == otherChar || after == otherChar ||
		before == upperCase && after == lowerCase {
		return 0
	}
	return 1
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

// singleLine returns s without invisible characters and invalid UTF-8, and with one space for each
// run of white space and control characters.
func singleLine(s string) string {
	isSpace := func(c rune) bool { return c == ' ' || unicode.IsControl(c) }
	fields := strings.FieldsFunc(StripInvisible(strings.ToValidUTF8(s, "")), isSpace)
	return strings.Join(fields, " ")
}
