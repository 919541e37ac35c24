package cli

import (
	"strings"
	"testing"
)

// FuzzCacheList checks that cache list prints values of an entry's header as printable text of
// bounded length.
func FuzzCacheList(f *testing.F) {
	f.Add("client=a", "tenant=\x1b[31m\u202e")
	f.Add("", "=")
	f.Add("username="+strings.Repeat("ä", 5000), "a\tb\nc")
	f.Fuzz(func(t *testing.T, one, other string) {
		for _, value := range parseInputs([]string{one, other}) {
			problem := unreadable(value)
			tooLong := len(value) > maxCellLength+3
			if problem != "" || tooLong || strings.ContainsAny(value, "\t\n\v\f") {
				t.Fatalf("%s: %q", problem, value)
			}
		}
	})
}

// unreadable says why a text is not printable on one line, "" if it is.
func unreadable(text string) string {
	if found := findInvisible(text); found != "" || strings.Contains(text, "\n") {
		return "it has an invisible character " + found + ": " + text
	}
	if strings.ToValidUTF8(text, "") != text {
		return "it is not UTF-8: " + text
	}
	return ""
}
