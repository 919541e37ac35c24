package entra

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// CodeAssertionExpired is the AADSTS code for a federated token that is not valid at this time.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
const CodeAssertionExpired = 700024

// Outcome is how a request ended: with a successful response, a refusal or an error.
type Outcome struct {
	ServerURL string   // of the server that the request was for, as https://HOST/; "": no request
	Refusal   *Refusal // nil: the response was successful, or there was none
	Err       error    // nil: there was a response, and it was valid

	// OnThrottle is called with a refusal that asks for a delay before the next request, before
	// that is waited for. It may be nil. It is not part of the outcome: Begin keeps it.
	OnThrottle func(*Refusal)
}

// Begin makes o the outcome of a new request for the server, or of none if serverURL is empty.
func (o *Outcome) Begin(serverURL string) {
	*o = Outcome{ServerURL: serverURL, OnThrottle: o.OnThrottle}
}

// refuse records a refusal.
func (o *Outcome) refuse(r *Refusal) {
	o.Refusal = r
	if r.Throttles() && o.OnThrottle != nil {
		o.OnThrottle(r)
	}
}

// Refusal is a response with an HTTP status of 400 or more. Entra ID's have an error body (RFC
// 6749, section 5.2, with Entra's additions). The strings are redacted and can be shown. The JSON
// form is stored in the cache.
type Refusal struct {
	HTTPStatus    int           `json:"status"`
	AADSTS        int           `json:"aadsts"`   // 0: the body has none
	OAuthError    string        `json:"name"`     // such as "invalid_client"; "": the body has none
	Description   string        `json:"sentence"` // without the AADSTS code and the trailing IDs
	CorrelationID string        `json:"correlation_id"`
	RetryAfter    time.Duration `json:"-"` // delay that the server asks for; 0: none
}

func (r *Refusal) Error() string {
	switch {
	case r.AADSTS != 0 && r.CorrelationID == "":
		return fmt.Sprintf("AADSTS%d: %s", r.AADSTS, r.Description)
	case r.AADSTS != 0:
		return fmt.Sprintf("AADSTS%d: %s (correlation ID %s)",
			r.AADSTS, r.Description, r.CorrelationID)
	case r.OAuthError != "" && r.Description == "":
		return fmt.Sprintf("HTTP status %d, %s", r.HTTPStatus, r.OAuthError)
	case r.OAuthError != "":
		return fmt.Sprintf("HTTP status %d, %s: %s", r.HTTPStatus, r.OAuthError, r.Description)
	case r.Description != "":
		return fmt.Sprintf("HTTP status %d: %s", r.HTTPStatus, r.Description)
	}
	return fmt.Sprintf("HTTP status %d, and the answer is not an error of Entra ID", r.HTTPStatus)
}

// IsPending reports whether a device code still waits for its user to sign in (RFC 8628, section
// 3.5).
func (r *Refusal) IsPending() bool {
	return r.OAuthError == "authorization_pending" || r.OAuthError == "slow_down"
}

// Throttles reports whether the server asks for a delay before the next request.
func (r *Refusal) Throttles() bool { return r.RetryAfter > 0 && IsTransientStatus(r.HTTPStatus) }

// IsPermanent reports whether Entra ID would refuse the same request again a moment later. An
// expired assertion is not permanent, because a new one may have replaced it by then.
func (r *Refusal) IsPermanent() bool {
	return r.AADSTS != 0 && r.AADSTS != CodeAssertionExpired && r.HTTPStatus >= 400 &&
		!IsTransientStatus(r.HTTPStatus)
}

// NeedsSignIn reports whether a user has to sign in, because Entra ID refused a refresh token or
// requires more than it.
func (r *Refusal) NeedsSignIn() bool {
	switch r.OAuthError {
	case "invalid_grant", "interaction_required", "login_required", "consent_required":
		return true
	}
	return false
}

// readRefusal returns the refusal in resp, whose body has been read.
func readRefusal(resp *http.Response, body []byte) *Refusal {
	refusal := &Refusal{HTTPStatus: resp.StatusCode, RetryAfter: RetryAfter(resp)}
	parseRefusal(body, refusal)
	return refusal
}

// parseRefusal sets the fields of refusal that come from an error body, redacted. Fields that the
// body does not have, or has with another type, stay zero. Besides Entra ID's error body it reads
// those of App Service ({"message"}) and of most Azure services ({"error": {"message"}}).
func parseRefusal(body []byte, refusal *Refusal) {
	var response struct {
		Error         json.RawMessage `json:"error"`
		Description   string          `json:"error_description"`
		Message       string          `json:"message"`
		Codes         []int           `json:"error_codes"`
		CorrelationID string          `json:"correlation_id"`
	}
	_ = json.Unmarshal(body, &response)
	var name string
	var nested struct{ Message string }
	if json.Unmarshal(response.Error, &name) != nil {
		_ = json.Unmarshal(response.Error, &nested)
	}
	refusal.OAuthError = redact.Excerpt(name)
	refusal.CorrelationID = redact.Excerpt(response.CorrelationID)
	description := cmp.Or(response.Description, nested.Message, response.Message)
	if rest, found := strings.CutPrefix(description, "AADSTS"); found {
		var code string
		code, description, _ = strings.Cut(rest, ":")
		refusal.AADSTS, _ = strconv.Atoi(code)
	}
	if refusal.AADSTS == 0 && len(response.Codes) > 0 {
		refusal.AADSTS = response.Codes[0]
	}
	description, _, _ = strings.Cut(description, "Trace ID:")
	refusal.Description = redact.Excerpt(description)
}
