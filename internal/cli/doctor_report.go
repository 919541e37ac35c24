package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/akslogin/akslogin/token"
)

// report is what doctor prints for people.
type report struct {
	findings []token.Finding
	color    bool
	showAll  bool // also lines to copy for what is not missing
}

// statusColors are SGR parameters (ECMA-48). The order is that of the summary.
var statusColors = []struct {
	status token.Status
	color  string
}{
	{token.StatusError, "1;31"},
	{token.StatusWarning, "33"},
	{token.StatusOK, "32"},
	{token.StatusInfo, "0"},
	{token.StatusSkipped, "2"},
}

// usesColor reports whether f is a terminal that shows colors, and nobody objects to them
// (https://no-color.org). A terminal of Windows has no TERM, and may not know the codes.
func usesColor(f *os.File) bool {
	name := os.Getenv("TERM")
	return name != "" && name != "dumb" && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}

// write writes a line for each finding, so that grep ^error shows what failed and what to do. The
// problems come first, then a summary, the other findings, and lines to copy.
func (r report) write(w io.Writer) error {
	var b bytes.Buffer
	r.writeLines(&b, token.StatusError)
	r.writeLines(&b, token.StatusWarning)
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d checks: %s\n\n", len(r.findings), r.summary())
	r.writeLines(&b, token.StatusOK, token.StatusInfo, token.StatusSkipped)
	for _, f := range r.findings {
		isProblem := f.Status == token.StatusError || f.Status == token.StatusWarning
		if len(f.Show) > 0 && (isProblem || r.showAll) {
			fmt.Fprintf(&b, "\n%s:\n    %s\n", f.Check, strings.Join(f.Show, "\n    "))
		}
	}
	_, err := b.WriteTo(w)
	return err
}

// writeLines writes the lines of the findings that have one of the statuses.
func (r report) writeLines(b *bytes.Buffer, statuses ...token.Status) {
	width := 0
	for _, f := range r.findings {
		width = max(width, len(f.Check))
	}
	for _, f := range r.findings {
		if !slices.Contains(statuses, f.Status) {
			continue
		}
		text := f.Text
		if f.Todo != "" {
			text += " -> " + f.Todo
		}
		fmt.Fprintf(b, "%s  %-*s  %s\n", r.paint(f.Status), width, f.Check, text)
	}
}

// paint returns the status as a column, in color if the report has colors.
func (r report) paint(status token.Status) string {
	column := fmt.Sprintf("%-7s", status)
	if !r.color {
		return column
	}
	for _, c := range statusColors {
		if c.status == status {
			return "\x1b[" + c.color + "m" + column + "\x1b[0m"
		}
	}
	return column
}

// summary counts the findings by status.
func (r report) summary() string {
	var counts []string
	for _, c := range statusColors {
		n := 0
		for _, f := range r.findings {
			if f.Status == c.status {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, c.status))
		}
	}
	return strings.Join(counts, ", ")
}
