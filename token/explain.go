package token

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// Explanation is an error for people. Text and Hint are one line each, without control characters
// and without secrets.
type Explanation struct {
	Text string // what failed, with which values from where, and the cause
	Hint string // what to do; may be empty
	Exit int    // exit status: ExitLoginFailed, ExitUsage or ExitSignInNeeded
}

// Exit statuses.
const (
	ExitLoginFailed  = 1
	ExitUsage        = 2
	ExitSignInNeeded = 3 // a person has to sign in, and nobody can be asked
)

// Explain returns the explanation of any error, also of one that is not from this package. All
// errors for people go through it.
func Explain(err error) Explanation {
	var (
		usage    *UsageError
		file     *noFederatedTokenError
		exchange *exchangeError
		post     *postError
		failed   *FailedError
	)
	switch {
	case errors.As(err, &usage):
		return newExplanation(usage.Text, usage.Hint, ExitUsage)
	case errors.As(err, &file):
		return newExplanation(file.Error(), file.hint(), ExitLoginFailed)
	case errors.As(err, &exchange):
		text := exchange.redactedText()
		if errors.As(err, new(*signInNeededError)) {
			return newExplanation(text, exchange.signInHint(), ExitSignInNeeded)
		}
		hint := expandHint(exchange.hint(), exchange.hintValues)
		return newExplanation(text, hint, ExitLoginFailed)
	case errors.As(err, &post):
		hint := expandHint(causeHint(post.err, post.hintValues), post.hintValues)
		return newExplanation(post.redactedText(), hint, ExitLoginFailed)
	case errors.As(err, &failed):
		return newExplanation(failed.Text, failed.Hint, ExitLoginFailed)
	}
	return newExplanation(err.Error(), "", ExitLoginFailed)
}

// newExplanation redacts every text, whatever its origin: a token may also have been given as the
// value of the wrong flag.
func newExplanation(text, hint string, exit int) Explanation {
	return Explanation{Clean(text), Clean(hint), exit}
}

// redactedText is like Error, but redacts a cause other than a refusal, whose text is redacted when
// it is read.
func (e *exchangeError) redactedText() string {
	var refusal *Refusal
	if errors.As(e.err, &refusal) {
		return e.Error()
	}
	redacted := *e
	redacted.err = errors.New(redact.Excerpt(causeText(e.err, e.request)))
	return redacted.Error()
}

// redactedText is like Error, but redacts the cause.
func (e *postError) redactedText() string {
	return "ask " + e.service + ": " + redact.Excerpt(causeText(e.err, e.request))
}

// causeText returns err's message for the end of a sentence about one of r's requests. It leaves
// out the address, which the sentence has, and names the timeout.
func causeText(err error, r Request) string {
	var request *url.Error
	if errors.As(err, &request) && request == err {
		err = request.Err
	}
	rest, timedOut := strings.CutPrefix(err.Error(), context.DeadlineExceeded.Error())
	switch {
	case timedOut && r.Timeout > 0:
		return fmt.Sprintf("no answer within %s%s%s", r.Timeout, r.sourceNote("timeout"), rest)
	case timedOut:
		return "no answer in time" + rest
	}
	return err.Error()
}

// Clean makes text of any origin safe for a log. It returns a single line of bounded length,
// without control characters, invisible characters, secrets that this process has used, and what
// looks like a token or secret.
func Clean(s string) string { return redact.Line(s) }

// StripInvisible returns s without invisible characters, with a space for each character that looks
// like one, and with at most four nonspacing marks in a row. It keeps control characters.
func StripInvisible(s string) string { return redact.StripInvisible(s) }
