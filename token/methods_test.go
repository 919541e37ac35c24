package token

import (
	"slices"
	"testing"
)

func TestMethodsNameExistingFlags(t *testing.T) {
	for _, m := range Methods {
		for _, flag := range slices.Concat(m.flags(), m.IdentityFlags, m.Stanza.Flags) {
			flagFieldName(flag) // panics if there is no such flag
		}
		for _, flag := range m.IdentityFlags {
			if !m.usesFlag(flag) {
				t.Errorf("%s: identity flag --%s is neither required nor optional", m.Name, flag)
			}
		}
	}
}
