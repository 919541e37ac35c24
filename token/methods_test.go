package token

import (
	"slices"
	"testing"
)

func TestMethodsNameExistingFlags(t *testing.T) {
	for _, m := range Methods {
		for _, flag := range slices.Concat(m.flags(), m.IdentityFlags, m.Stanza.Flags) {
			flagFieldName(flag) // panics
		}
		for _, flag := range m.IdentityFlags {
			if !m.usesFlag(flag) {
				t.Errorf("%s owns --%s but neither needs nor uses it", m.Name, flag)
			}
		}
	}
}
