package token

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// Finding is the result of one check of a diagnosis. It may hold text of foreign origin:
// [Finding.Redacted] makes it safe to print.
type Finding struct {
	Status Status   `json:"status"`
	Check  string   `json:"check"`          // what was checked, in a word or two
	Text   string   `json:"text"`           // what was found
	Todo   string   `json:"todo,omitempty"` // what to do
	Show   []string `json:"show,omitempty"` // lines to copy elsewhere, for what is missing
}

// Redacted returns a copy of f in which every text is as [Clean] returns it. Lines of Show keep
// their indentation.
func (f Finding) Redacted() Finding {
	f.Text, f.Todo, f.Show = redact.Line(f.Text), redact.Line(f.Todo), slices.Clone(f.Show)
	for i, line := range f.Show {
		text := strings.TrimLeft(line, " ")
		f.Show[i] = line[:len(line)-len(text)] + redact.Line(text)
	}
	return f
}

// Status is the outcome of a check.
type Status string

const (
	StatusOK      Status = "ok"      // verified
	StatusInfo    Status = "info"    // a fact that was not verified
	StatusSkipped Status = "skipped" // the check was not made
	StatusWarning Status = "warning" // may be intended, or will cause trouble later
	StatusError   Status = "error"   // makes logins fail
)

// formatTime formats a time for people: RFC 3339 in UTC, in whole seconds.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// formatDuration formats a duration for people, rounded to seconds, minutes or days according to
// its length.
func formatDuration(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Minute:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return d.Round(time.Second).String()
}
