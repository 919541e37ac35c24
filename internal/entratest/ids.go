package entratest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// guid returns a GUID that depends on its arguments only, so it is the same in every run.
func guid(label string, n int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d", label, n))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80 // version 4, variant 1
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// opaque returns 22 characters of base64url that depend on its arguments only, so they are the same
// in every run.
func opaque(label string, n int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d", label, n))
	return base64.RawURLEncoding.EncodeToString(h[:16])
}

// objectID returns the default object ID of an application's service principal.
func objectID(clientID string) string { return guid("object of "+strings.ToLower(clientID), 0) }

// userCode returns nine characters without those that people confuse.
func userCode(n int) string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	code := []byte(opaque("user code", n))[:9]
	for i, c := range code {
		code[i] = letters[int(c)%len(letters)]
	}
	return string(code)
}
