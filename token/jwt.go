package token

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// claims are those of a JWT that is shown to people. Nothing here is verified: who is asked with the token does that.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Expires  float64  `json:"exp"` // NumericDate (RFC 7519, section 2) may have a fraction
}

// audience is one string or a list of them (RFC 7519, section 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(a))
	}
	var one string
	err := json.Unmarshal(b, &one)
	*a = audience{one}
	return err
}

func (a audience) String() string { return strings.Join(a, " ") }

// claimsOf reads a signed JWT in compact form (RFC 7515, section 7.1). Errors do not repeat any of it.
func claimsOf(token string) (claims, error) {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] == "" || !plain(token, "-_.") { // base64's decoder would pass over line breaks
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
	if _, err := base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil || header.Algorithm == "" {
		return c, errors.New("it is not a signed JWT")
	}
	return c, nil
}

// claimsInto reads those claims of a JWT that into has fields for. Errors do not repeat any of it.
func claimsInto(token string, into any) error {
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
