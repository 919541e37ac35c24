package token

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// Explanation is an error for people. Text and Hint are a line each, without control characters and
// without secrets.
type Explanation struct {
	Text string // what was tried, with which value from where, and what came of it
	Hint string // what to do; may be empty
	Exit int    // status for the process: ExitLoginFailed or ExitUsage
}

// Exit statuses.
const (
	ExitLoginFailed  = 1
	ExitUsage        = 2
	ExitSignInNeeded = 3 // a person has to sign in, and nobody can be asked
)

// Explain puts an error into words. It is the only place that speaks to people.
func Explain(err error) Explanation {
	var (
		wrong    *UsageError
		file     *federatedFileError
		exchange *exchangeError
		send     *postError
		failed   *FailedError
	)
	switch {
	case errors.As(err, &wrong):
		return newExplanation(wrong.Text, wrong.Hint, ExitUsage)
	case errors.As(err, &file):
		return newExplanation(file.Error(), file.hint(), ExitLoginFailed)
	case errors.As(err, &exchange) && errors.As(err, new(*signInNeededError)):
		return newExplanation(
			redact.Secrets(exchange.redactedText(), exchange.secrets),
			signInHint(exchange.request),
			ExitSignInNeeded,
		)
	case errors.As(err, &exchange):
		return newExplanation(
			redact.Secrets(exchange.redactedText(), exchange.secrets),
			redact.Secrets(exchange.hint(), exchange.secrets),
			ExitLoginFailed,
		)
	case errors.As(err, &send):
		return newExplanation(
			send.redactedText(),
			causeHint(send.err, send.hintValues),
			ExitLoginFailed,
		)
	case errors.As(err, &failed):
		return newExplanation(failed.Text, failed.Hint, ExitLoginFailed)
	}
	return newExplanation(err.Error(), "", ExitLoginFailed)
}

// newExplanation is where every text passes that is shown, whoever wrote it: a token can stand in a
// flag's place too.
func newExplanation(text, hint string, exit int) Explanation {
	return Explanation{Clean(text), Clean(hint), exit}
}

// redactedText is the error's own, but for causes that come from outside and are cleaned.
func (e *exchangeError) redactedText() string {
	var refusal *entra.Refusal
	if errors.As(e.err, &refusal) {
		return e.Error()
	}
	cleaned := *e
	cleaned.err = errors.New(redact.Excerpt(causeText(e.err, e.request)))
	return cleaned.Error()
}

// causeText is what an error says of r's requests, without what the sentence around it says
// already.
func causeText(err error, r Request) string {
	var request *url.Error
	if errors.As(err, &request) && request == err {
		err = request.Err // the address is in the sentence already
	}
	rest, found := strings.CutPrefix(err.Error(), context.DeadlineExceeded.Error())
	switch {
	case found && r.Timeout > 0:
		return fmt.Sprintf("no answer within %s%s%s", r.Timeout, r.sourceNote("timeout"), rest)
	case found:
		return "no answer in time" + rest
	}
	return err.Error()
}

// Clean makes text that may hold anything fit for a log: on one line, of bounded length, without
// control characters and without what looks like a token or secret.
func Clean(s string) string { return redact.Line(s) }

// redactedText is the error's own, with a cause that comes from outside cleaned.
func (e *postError) redactedText() string {
	return "ask " + e.service + ": " + redact.Excerpt(causeText(e.err, e.request))
}
