package entra

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/jwt"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// MaxTokenLifetime bounds the lifetime that a token response may claim. Entra ID's longest is 28
// hours.
const MaxTokenLifetime = 48 * time.Hour

// maxSeconds bounds an access token's expires_in, because MSAL's arithmetic overflows for larger
// values. It is 100 years, so that MaxTokenLifetime can shorten any plausible lifetime.
const maxSeconds = int64(100 * 365 * 24 * time.Hour / time.Second)

// userRealmPath is the folder that MSAL requests, before it sends a password, to learn which
// identity provider checks the password. The user name is the last element of the path.
const userRealmPath = "/common/UserRealm"

var (
	errNotTokenResponse = errors.New(
		"the answer is not a token response: not the JSON that Entra ID sends")
	errNoAccessToken = errors.New(
		"the answer has no access token, or one that cannot stand in a header")
	errNoLifetime = errors.New("the answer does not give its token's lifetime in whole seconds")
)

// responseCheck returns the function that checks the body of a successful response to a request,
// or nil if there is none. The function returns the body to pass on. tokenType is as in Client.
func responseCheck(method, urlPath, tokenType string) func(body []byte) ([]byte, error) {
	isGet := method == http.MethodGet
	switch {
	case tokenType == "":
		return nil
	case isGet && path.Dir(urlPath) == userRealmPath:
		return checkUserRealmResponse
	case !isGet && path.Base(urlPath) == "devicecode":
		return checkDeviceCodeResponse
	case !isGet && path.Base(urlPath) == "token":
		return func(body []byte) ([]byte, error) { return checkTokenResponse(body, tokenType) }
	}
	return nil
}

// checkTokenResponse checks the response to a token request (RFC 6749, section 5.1; RFC 6750,
// section 2.1). It returns JSON with the fields that MSAL needs. The absent scope field means that
// all requested scopes were granted. Its errors do not repeat any part of body.
func checkTokenResponse(body []byte, tokenType string) ([]byte, error) {
	var response struct {
		AccessToken string          `json:"access_token"`
		TokenType   string          `json:"token_type"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		RefreshIn   json.RawMessage `json:"refresh_in"`

		// These are present if a user signed in. An invalid one is dropped: the sign-in is then not
		// cached, and the access token is still used.
		RefreshToken json.RawMessage `json:"refresh_token"`
		IDToken      json.RawMessage `json:"id_token"`
		ClientInfo   json.RawMessage `json:"client_info"`
	}
	if err := json.Unmarshal(body, &response); err != nil {
		return nil, errNotTokenResponse
	}
	lifetime, err := parseSeconds(response.ExpiresIn)
	switch {
	case !IsBearerToken(response.AccessToken):
		return nil, errNoAccessToken
	case !strings.EqualFold(response.TokenType, tokenType):
		return nil, fmt.Errorf("the answer has a token that is not a %s token",
			strings.ToLower(tokenType))
	case err != nil:
		return nil, errNoLifetime
	case lifetime <= 0:
		return nil, errors.New("the answer has a token that is already expired")
	case lifetime > maxSeconds:
		return nil, errors.New("the answer has a token with an impossible lifetime")
	}
	redact.Remember(response.AccessToken)
	checked := map[string]any{
		"access_token": response.AccessToken,
		"token_type":   tokenType,
		"expires_in":   lifetime,
	}
	refresh, err := parseSeconds(response.RefreshIn)
	if err == nil && refresh > 0 && refresh < lifetime {
		checked["refresh_in"] = refresh
	}
	for name, field := range map[string]struct {
		raw     json.RawMessage
		isValid func(string) bool
	}{
		"refresh_token": {response.RefreshToken, func(s string) bool { return s != "" }},
		"id_token":      {response.IDToken, isJWT},
		"client_info":   {response.ClientInfo, isClientInfo},
	} {
		var value string
		if json.Unmarshal(field.raw, &value) == nil && field.isValid(value) {
			checked[name] = value
			redact.Remember(value)
		}
	}
	return json.Marshal(checked)
}

func isJWT(s string) bool {
	_, err := jwt.Parse(s)
	return err == nil
}

// isClientInfo reports whether s identifies an account for MSAL: it is a JSON object with a uid, in
// base64url.
func isClientInfo(s string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	var account struct{ UID, UTID string }
	return err == nil && json.Unmarshal(raw, &account) == nil && account.UID != ""
}

// checkDeviceCodeResponse checks the response to a device authorization request (RFC 8628, section
// 3.2). It returns JSON in which the texts for the user are redacted.
func checkDeviceCodeResponse(body []byte) ([]byte, error) {
	var response struct {
		DeviceCode      string          `json:"device_code"`
		UserCode        string          `json:"user_code"`
		VerificationURI string          `json:"verification_uri"`
		ExpiresIn       json.RawMessage `json:"expires_in"`
		Interval        json.RawMessage `json:"interval"`
		Message         string          `json:"message"`
	}
	if err := json.Unmarshal(body, &response); err != nil {
		return nil, errors.New("the answer is not a device code: not the JSON that Entra ID sends")
	}
	redact.Remember(response.DeviceCode)
	userCode := redact.Excerpt(response.UserCode)
	const longest = int64(24 * time.Hour / time.Second)
	lifetime, err := parseSeconds(response.ExpiresIn)
	if err != nil || lifetime <= 0 || lifetime > longest ||
		response.DeviceCode == "" || userCode == "" {
		return nil, errors.New("the answer has no usable device code")
	}
	interval, _ := parseSeconds(response.Interval)
	return json.Marshal(map[string]any{
		"device_code":      response.DeviceCode,
		"expires_in":       lifetime,
		"interval":         interval,
		"user_code":        userCode,
		"verification_uri": redact.Excerpt(response.VerificationURI),
		"message":          redact.Excerpt(response.Message),
	})
}

// checkUserRealmResponse refuses an account whose password another identity provider, such as AD
// FS, checks. MSAL would send the password to an address that the response names.
func checkUserRealmResponse(body []byte) ([]byte, error) {
	var response struct {
		AccountType string `json:"account_type"`
		Domain      string `json:"domain_name"`
		Cloud       string `json:"cloud_instance_name"`
		URN         string `json:"cloud_audience_urn"`
	}
	if err := json.Unmarshal(body, &response); err != nil {
		return nil, errors.New(
			"the answer does not say which identity provider checks the password")
	}
	if !strings.EqualFold(response.AccountType, "Managed") {
		return nil, &RealmError{Federated: strings.EqualFold(response.AccountType, "Federated")}
	}
	return json.Marshal(map[string]string{
		"account_type":        response.AccountType,
		"domain_name":         response.Domain,
		"cloud_instance_name": response.Cloud,
		"cloud_audience_urn":  response.URN,
	})
}

// IsBearerToken reports whether token may be sent in an Authorization header: it is a b64token of
// RFC 6750, section 2.1.
func IsBearerToken(token string) bool { return redact.IsPlain(token, "-._~+/=") }

// parseSeconds parses a JSON number without a fraction. Some endpoints of Entra ID put it in
// quotes.
func parseSeconds(raw json.RawMessage) (int64, error) {
	return strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
}
