package token

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Finding is one line of a diagnosis. It may hold foreign text: Presentable makes it fit to be
// shown.
type Finding struct {
	Status Status   `json:"status"`
	Check  string   `json:"check"`          // what was looked at, in a word or two
	Text   string   `json:"text"`           // what was found
	Todo   string   `json:"todo,omitempty"` // what to do
	Show   []string `json:"show,omitempty"` // lines to be copied elsewhere
}

// Redacted returns the finding with each text on one line, of bounded length, without control
// characters, tokens and secrets.
func (f Finding) Redacted() Finding {
	f.Text, f.Todo, f.Show = Clean(f.Text), Clean(f.Todo), slices.Clone(f.Show)
	for i, line := range f.Show { // indented lines stay so
		text := strings.TrimLeft(line, " ")
		f.Show[i] = line[:len(line)-len(text)] + Clean(text)
	}
	return f
}

// Status is how a check ended.
type Status string

// Skipped is a check that was not made; Warning is what may be meant so, or will trouble later;
// Wrong is why logins fail.
const (
	StatusOK Status = "ok"

	StatusSkipped Status = "skipped"

	StatusWarning Status = "warning"

	StatusWrong Status = "wrong"
)

// ErrorFinding is an error as a finding.
func ErrorFinding(check string, err error) Finding {
	e := Explain(err)
	return Finding{Status: StatusWrong, Check: check, Text: e.Text, Todo: e.Hint}
}

// formatTime is a time for people: RFC 3339 in UTC and whole seconds.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// formatDuration is a length of time for people, without what nobody wants to know.
func formatDuration(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Minute:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return d.Round(time.Second).String()
}
