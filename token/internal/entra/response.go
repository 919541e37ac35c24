package entra

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/jwt"
	"github.com/akslogin/akslogin/token/internal/redact"
)

const maxResponse = 1 << 20

const MaxTokenLifetime = 48 * time.Hour // Entra ID's longest is 28 hours; what says more is not believed

// ResponseChecks are the checks of successful responses: of POSTs by the last element of the path,
// of GETs by the folder.
func ResponseChecks(tokenType string) map[string]func(body []byte) ([]byte, error) {
	return map[string]func([]byte) ([]byte, error){
		"token":       func(body []byte) ([]byte, error) { return checkTokenResponse(body, tokenType) },
		"devicecode":  checkDeviceCodeResponse,
		userRealmPath: checkUserRealmResponse,
	}
}

// checkTokenResponse looks at a granted token request (RFC 6749, section 5.1; RFC 6750, section
// 2.1) and returns what MSAL needs of it, and no more. Its errors do not repeat any of it.
func checkTokenResponse(body []byte, wantType string) ([]byte, error) {
	var a struct {
		Token   string          `json:"access_token"`
		Type    string          `json:"token_type"`
		Expires json.RawMessage `json:"expires_in"`
		Refresh json.RawMessage `json:"refresh_in"`

		// Where a person signed in. What is odd about these costs the sign-in that would be kept,
		// and not the token.
		RefreshToken json.RawMessage `json:"refresh_token"`
		IDToken      json.RawMessage `json:"id_token"`
		ClientInfo   json.RawMessage `json:"client_info"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errors.New("the answer is no token: not the JSON that Entra ID sends")
	}
	life, err := parseSeconds(a.Expires)
	switch {
	case !IsBearerToken(a.Token):
		return nil, errors.New(
			"the answer has no access token, or one that cannot stand in a header",
		)
	case !strings.EqualFold(a.Type, wantType):
		return nil, fmt.Errorf(
			"the answer has a token that is not a %s token",
			strings.ToLower(wantType),
		)
	case err != nil:
		return nil, errors.New("the answer does not say in whole seconds how long its token lives")
	case life <= 0:
		return nil, errors.New("the answer has a token that is already expired")
	case life > int64(100*365*24*time.Hour/time.Second): // MSAL's arithmetic would overflow further on
		return nil, errors.New("the answer has a token with an impossible life")
	}
	needed := map[string]any{
		"access_token": a.Token,
		"token_type":   wantType,
		"expires_in":   life,
	} // no scope: all that were asked for
	if refresh, err := parseSeconds(a.Refresh); err == nil && refresh > 0 && refresh < life {
		needed["refresh_in"] = refresh
	}
	for name, part := range map[string]struct {
		raw  json.RawMessage
		fits func(string) bool
	}{
		"refresh_token": {a.RefreshToken, func(s string) bool { return s != "" }},
		"id_token":      {a.IDToken, func(s string) bool { _, err := jwt.Parse(s); return err == nil }},
		"client_info":   {a.ClientInfo, isClientInfo},
	} {
		var value string
		if json.Unmarshal(part.raw, &value) == nil && part.fits(value) {
			needed[name] = value
		}
	}
	return json.Marshal(needed)
}

// isClientInfo tells whether s is what MSAL names an account by: a JSON object in base64url.
func isClientInfo(s string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	var account struct{ UID, UTID string }
	return err == nil && json.Unmarshal(raw, &account) == nil && account.UID != ""
}

// checkDeviceCodeResponse looks at the answer to a request for a device code (RFC 8628, section
// 3.2). What it says to people is made fit for them.
func checkDeviceCodeResponse(body []byte) ([]byte, error) {
	var a struct {
		DeviceCode      string          `json:"device_code"`
		UserCode        string          `json:"user_code"`
		VerificationURI string          `json:"verification_uri"`
		Expires         json.RawMessage `json:"expires_in"`
		Interval        json.RawMessage `json:"interval"`
		Message         string          `json:"message"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errors.New("the answer is no device code: not the JSON that Entra ID sends")
	}
	life, err := parseSeconds(a.Expires)
	if err != nil || life <= 0 || life > int64(24*time.Hour/time.Second) || a.DeviceCode == "" ||
		a.UserCode == "" {
		return nil, errors.New("the answer has no device code that could be used")
	}
	interval, _ := parseSeconds(a.Interval)
	return json.Marshal(map[string]any{
		"device_code": a.DeviceCode,
		"expires_in":  life,
		"interval":    interval,
		"user_code": redact.Excerpt(
			a.UserCode,
		),
		"verification_uri": redact.Excerpt(a.VerificationURI),
		"message":          redact.Excerpt(a.Message),
	})
}

// userRealmPath is where MSAL asks, before it sends a password, who checks it.
const userRealmPath = "/common/UserRealm"

// checkUserRealmResponse refuses accounts whose passwords are checked elsewhere, as by AD FS: a
// password is not sent to an address that an answer names.
func checkUserRealmResponse(body []byte) ([]byte, error) {
	var a struct {
		AccountType string `json:"account_type"`
		Domain      string `json:"domain_name"`
		Cloud       string `json:"cloud_instance_name"`
		URN         string `json:"cloud_audience_urn"`
	}
	switch err := json.Unmarshal(body, &a); {
	case err != nil:
		return nil, errors.New("who checks the password cannot be read from the answer")
	case strings.EqualFold(a.AccountType, "Federated"):
		return nil, &RealmError{Federated: true}
	}
	if !strings.EqualFold(a.AccountType, "Managed") {
		return nil, &RealmError{}
	}
	return json.Marshal(
		map[string]string{
			"account_type":        a.AccountType,
			"domain_name":         a.Domain,
			"cloud_instance_name": a.Cloud,
			"cloud_audience_urn":  a.URN,
		},
	)
}

// RealmError is an account whose password Entra ID does not check itself.
type RealmError struct {
	Federated bool // another identity provider checks it; false: Entra ID does not know the account's kind
}

func (e *RealmError) Error() string {
	if e.Federated {
		return "the account's password is checked elsewhere than at Entra ID (it is federated, as by AD FS), and is not sent there"
	}
	return "Entra ID has no accounts of that user name's kind"
}

// IsBearerToken tells whether a token can stand in an Authorization header (RFC 6750, section 2.1:
// b64token).
func IsBearerToken(token string) bool { return redact.IsPlain(token, "-._~+/=") }

// parseSeconds reads a whole number, which some of Entra ID's endpoints put into quotes.
func parseSeconds(raw json.RawMessage) (int64, error) {
	return strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
}
