package cli

import (
	"strings"
	"testing"
)

// What an entry's head says of itself is listed as words of bounded length.
func FuzzCacheList(f *testing.F) {
	f.Add("client=a", "tenant=\x1b[31m\u202e")
	f.Add("", "=")
	f.Add("username="+strings.Repeat("ä", 5000), "a\tb\nc")
	f.Fuzz(func(t *testing.T, one, other string) {
		for _, value := range parseInputs([]string{one, other}) {
			if why := unreadable(value); why != "" || len(value) > maxCellLength+3 || strings.ContainsAny(value, "\t\n\v\f") {
				t.Fatalf("%s: %q", why, value)
			}
		}
	})
}

// unreadable says why a text is not for people; "" where it is.
func unreadable(text string) string {
	for _, c := range text {
		if isInvisible(c) || c == '\n' {
			return "it has a character that cannot be seen: " + text
		}
	}
	if strings.ToValidUTF8(text, "") != text {
		return "it is no UTF-8: " + text
	}
	return ""
}
