// Package jwt decodes JSON Web Tokens (RFC 7519) so that akslogin can describe them to users. It
// never verifies a signature: the server that receives a token does that.
package jwt

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// Claims are the registered claims (RFC 7519, section 4.1) that describe a token to users. They are
// unverified and may hold any text. Absent claims are zero.
type Claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience Audience `json:"aud"`
	Expires  float64  `json:"exp"` // NumericDate: Unix time, may have a fraction
}

// Audience is the aud claim. In JSON it is a string or an array of strings (RFC 7519, section
// 4.1.3).
type Audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *Audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(a))
	}
	var single string
	err := json.Unmarshal(b, &single)
	*a = Audience{single}
	return err
}

// String returns the audiences with spaces between them.
func (a Audience) String() string { return strings.Join(a, " ") }

var (
	errNotThreeParts = errors.New("it is not a JWT: it does not have three parts with dots between")
	errNotSigned     = errors.New("it is not a signed JWT")
)

// Parse decodes a signed JWT in compact form (RFC 7515, section 7.1) strictly: all three parts must
// be base64url, and the header must name an algorithm. token must not have white space around it.
// Errors do not repeat any part of token.
func Parse(token string) (Claims, error) {
	var claims Claims
	parts := strings.Split(token, ".")
	// IsPlain refuses line breaks, which the base64 decoder would skip.
	if len(parts) != 3 || parts[2] == "" || !redact.IsPlain(token, "-_.") {
		return claims, errNotThreeParts
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	encoding := base64.RawURLEncoding.Strict()
	for i, into := range []any{&header, &claims} {
		raw, err := encoding.DecodeString(parts[i])
		if err != nil {
			return claims, errors.New("it is not a JWT: it is not base64url")
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return claims, errors.New("it is not a JWT: its header or claims cannot be decoded")
		}
	}
	if _, err := encoding.DecodeString(parts[2]); err != nil || header.Algorithm == "" {
		return claims, errNotSigned
	}
	return claims, nil
}

// Decode unmarshals the claims of a JWT in compact form into the value that into points to. It
// ignores header and signature. Errors do not repeat any part of token.
func Decode(token string, into any) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errNotThreeParts
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return errors.New("it is not a JWT: its claims cannot be decoded")
	}
	return nil
}
