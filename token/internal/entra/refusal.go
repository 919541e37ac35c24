package entra

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// AADSTS codes that the exchange acts upon.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
const CodeAssertionExpired = 700024

// Refusal is Entra ID's own answer to a request that it did not grant (RFC 6749, section 5.2, with
// Entra's additions).
type Refusal struct {
	HTTPStatus    int           `json:"status"`
	AADSTS        int           `json:"aadsts"`   // 0: the answer has none
	OAuthError    string        `json:"name"`     // OAuth's word, as "invalid_client"
	Description   string        `json:"sentence"` // Entra's own, without the code and the IDs at its end
	CorrelationID string        `json:"correlation_id"`
	RetryAfter    time.Duration `json:"-"`
}

func (r *Refusal) Error() string {
	switch {
	case r.AADSTS != 0:
		return strings.TrimSuffix(
			fmt.Sprintf(
				"AADSTS%d: %s (correlation ID %s)",
				r.AADSTS,
				r.Description,
				r.CorrelationID,
			),
			" (correlation ID )",
		)
	case r.OAuthError != "":
		return strings.TrimSuffix(
			fmt.Sprintf("HTTP status %d, %s: %s", r.HTTPStatus, r.OAuthError, r.Description),
			": ",
		)
	}
	return fmt.Sprintf("HTTP status %d, and not in Entra ID's form", r.HTTPStatus)
}

// IsPending tells whether a device code is waiting for its person (RFC 8628, section 3.5).
func (r *Refusal) IsPending() bool {
	return r.OAuthError == "authorization_pending" || r.OAuthError == "slow_down"
}

// readRefusal reads an answer that is no token.
func readRefusal(resp *http.Response, body []byte) *Refusal {
	refusal := &Refusal{HTTPStatus: resp.StatusCode, RetryAfter: RetryAfter(resp)}
	parseRefusal(body, refusal)
	return refusal
}

// parseRefusal fills in what body says. Whatever it is, the result can be shown: it is clean.
func parseRefusal(body []byte, into *Refusal) {
	var said struct {
		Name          string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		CorrelationID string `json:"correlation_id"`
	}
	_ = json.Unmarshal(
		body,
		&said,
	) // what does not fit stays empty, and the status still says something
	into.OAuthError, into.CorrelationID = redact.Excerpt(
		said.Name,
	), redact.Excerpt(
		said.CorrelationID,
	)
	sentence := said.Description
	if rest, found := strings.CutPrefix(said.Description, "AADSTS"); found {
		var code string
		code, sentence, _ = strings.Cut(rest, ":")
		into.AADSTS, _ = strconv.Atoi(code)
	}
	if into.AADSTS == 0 && len(said.Codes) > 0 {
		into.AADSTS = said.Codes[0]
	}
	sentence, _, _ = strings.Cut(sentence, "Trace ID:")
	into.Description = redact.Excerpt(sentence)
}

// IsPermanent tells whether Entra ID would say the same to the same question a moment later. An
// assertion out of its time may be replaced by then.
func (r *Refusal) IsPermanent() bool {
	return r.AADSTS != 0 && r.AADSTS != CodeAssertionExpired && r.HTTPStatus >= 400 &&
		!IsTransientStatus(r.HTTPStatus)
}

// NeedsSignIn tells whether Entra ID refused a refresh token, or wants more than one: a person has
// to sign in.
func (r *Refusal) NeedsSignIn() bool {
	return slices.Contains(
		[]string{"invalid_grant", "interaction_required", "login_required", "consent_required"},
		r.OAuthError,
	)
}
