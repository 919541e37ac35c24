package flags

import (
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/warmstart"
	"github.com/akslogin/akslogin/token"
)

// A memo is found by all that the program reads: a variable that is not in its list could change
// without being noticed.
func TestWarmStartKeyCoversVariables(t *testing.T) {
	want := []string{"https_proxy", "no_proxy"} // as net/http reads them too
	for _, field := range GetTokenFields() {
		for _, v := range token.Variables(field.Tag.Get) {
			want = append(want, v.Name)
		}
	}
	for _, v := range VariablesWithoutFlag {
		want = append(want, v.Names...)
	}
	names, prefix := warmstart.Variables()
	want = slices.DeleteFunc(want, func(name string) bool { return strings.HasPrefix(name, prefix) })
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(names, want) {
		t.Errorf("memo has\n%q\nand the program reads\n%q", names, want)
	}
	if warmstart.WellKnownTokenFile != token.WellKnownTokenFile {
		t.Error("memo and token have two well-known files")
	}
}
