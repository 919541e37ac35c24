package jwt

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// Claims are those of a JWT that is shown to people. Nothing here is verified: who is asked with
// the token does that.
type Claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience Audience `json:"aud"`
	Expires  float64  `json:"exp"` // NumericDate (RFC 7519, section 2) may have a fraction
}

// Audience is one string or a list of them (RFC 7519, section 4.1.3).
type Audience []string

func (a *Audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(a))
	}
	var one string
	err := json.Unmarshal(b, &one)
	*a = Audience{one}
	return err
}

func (a Audience) String() string { return strings.Join(a, " ") }

// Parse reads a signed JWT in compact form (RFC 7515, section 7.1). Errors do not repeat any of it.
func Parse(token string) (Claims, error) {
	var c Claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] == "" ||
		!redact.IsPlain(token, "-_.") { // base64's decoder would pass over line breaks
		return c, errors.New("it is not a JWT: not three parts with dots between them")
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	for i, into := range []any{&header, &c} {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil {
			return c, errors.New("it is not a JWT: not in base64url")
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return c, errors.New("it is not a JWT: header or claims are not as they should be")
		}
	}
	if _, err := base64.RawURLEncoding.Strict().
		DecodeString(parts[2]); err != nil ||
		header.Algorithm == "" {
		return c, errors.New("it is not a signed JWT")
	}
	return c, nil
}

// Decode reads those claims of a JWT that into has fields for. Errors do not repeat any of it.
func Decode(token string, into any) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("it is not a JWT: not three parts with dots between them")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return errors.New("it is not a JWT: its claims are not as they should be")
	}
	return nil
}
