package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// A report is the content of bench.json. Its times are in milliseconds.
type report struct {
	Machine string         `json:"machine"`
	Program string         `json:"program"`
	Before  string         `json:"before,omitempty"` // the -before binary
	Rounds  int            `json:"rounds"`
	Rows    []row          `json:"rows"`
	Timings []timing       `json:"timings"`
	Files   []string       `json:"filesOpenedWarm,omitempty"`
	Calls   map[string]int `json:"systemCallsWarm,omitempty"`
	// Beyond has the calls of a warm run that an empty program does not make.
	Beyond   map[string]int `json:"systemCallsWarmBeyondEmpty,omitempty"`
	Missing  []string       `json:"missing,omitempty"` // what was not measured, and why
	Settings []string       `json:"settings"`          // how it was measured
}

// A row is the result of a measurement.
type row struct {
	What string `json:"what"`
	value
	Unit   string `json:"unit,omitempty"`
	Before *value `json:"before,omitempty"` // the same of the -before binary
	Bound  string `json:"bound,omitempty"`
	Met    *bool  `json:"met,omitempty"` // nil if there is no bound
	bound  *bound
}

// timing is how long the runs of a contestant took.
type timing struct {
	Name        string `json:"name"`
	Wall        spread `json:"wallMs"`
	CPU         spread `json:"cpuMs"`
	Requests    int    `json:"requests"`    // of one run
	Connections int    `json:"connections"` // of one run
}

// add adds the row of a measurement, unless it has no value.
func (r *report) add(m measurement) {
	added := row{
		What: m.name, value: m.metric.value(m.contestants), Unit: m.metric.unit, bound: m.bound,
	}
	if added.isMissing() {
		return
	}
	if m.bound != nil {
		met := m.bound.met(added.Value)
		added.Bound, added.Met = m.bound.String(), &met
	}
	if before := m.before(); before != nil {
		if v := m.metric.value(before); !v.isMissing() {
			added.Before = &v
		}
	}
	r.Rows = append(r.Rows, added)
}

func (r *report) addTimings(contestants []*contestant) {
	for _, c := range contestants {
		r.Timings = append(r.Timings, timing{
			c.name, spreadOf(c.wallTimes()), spreadOf(milliseconds(c.cpu)), c.requests, c.connections,
		})
	}
}

// addTrace adds the files and the system calls of a warm run.
func (r *report) addTrace(warm, empty trace) {
	if warm.calls == nil {
		return
	}
	r.Files, _ = warm.files(whyOpened)
	r.Calls, r.Beyond = warm.calls, warm.beyond(empty)
}

// farBeyondBound describes the rows that are far beyond their bounds. The ratio of the fastest
// runs, where there is one, must be so too.
func (r *report) farBeyondBound() (rows []string) {
	for _, row := range r.Rows {
		if row.bound != nil && row.bound.far(row.Value) &&
			(row.Fastest == 0 || row.bound.far(row.Fastest)) {
			rows = append(rows, fmt.Sprintf("%s: %s is far beyond the bound: %s",
				row.What, format(row.Value, row.Unit), row.Bound))
		}
	}
	return rows
}

// format formats a value with up to two decimals.
func format(n float64, unit string) string {
	text := fmt.Sprintf("%.2f", n)
	if n == math.Trunc(n) {
		text = fmt.Sprint(n)
	}
	return strings.TrimSpace(text + " " + unit)
}

// print writes the report as text.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s\n", r.Machine, r.Program)
	if r.Before != "" {
		fmt.Fprintf(w, "before: %s\n", r.Before)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	r.printTimings(table)
	r.printRows(table)
	table.Flush()
	for _, list := range []struct {
		title string
		lines []string
	}{
		{"Files that a warm run opens", r.Files},
		{"System calls of a warm run, and how many more than an empty program's " +
			"(last the scheduler's, whose number depends on chance)", r.callLines()},
		{"Not measured", r.Missing},
		{"How it was measured", r.Settings},
	} {
		if len(list.lines) > 0 {
			fmt.Fprintf(w, "\n%s:\n  %s\n", list.title, strings.Join(list.lines, "\n  "))
		}
	}
}

func (r *report) printTimings(w io.Writer) {
	fmt.Fprintln(w, "\nONE RUN, MS\tMEDIAN\tQUARTILES\tFASTEST\tCPU\tREQUESTS")
	for _, t := range r.Timings {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f to %.2f\t%.2f\t%.2f\t%d\n", t.Name,
			t.Wall.Median, t.Wall.P25, t.Wall.P75, t.Wall.Least, t.CPU.Median, t.Requests)
	}
}

func (r *report) printRows(w io.Writer) {
	cells := func(what, value, before, spread, fastest, bound, met string) {
		if r.Before != "" {
			value += "\t" + before
		}
		fmt.Fprintln(w, strings.Join([]string{what, value, spread, fastest, bound, met}, "\t"))
	}
	fmt.Fprintln(w)
	cells("WHAT", "MEASURED", "BEFORE", "MEDIAN WITHIN, QUARTILES", "FASTEST", "BOUND", "")
	for _, row := range r.Rows {
		before, spread, fastest, met := "", "", "", ""
		if row.Before != nil {
			before = format(row.Before.Value, row.Unit)
		}
		if s := row.Spread; s != nil {
			spread = fmt.Sprintf("%.2f to %.2f, %.2f to %.2f", s.From, s.To, s.P25, s.P75)
		}
		if row.Fastest != 0 {
			fastest = fmt.Sprintf("%.2f", row.Fastest)
		}
		if row.Met != nil {
			met = map[bool]string{true: "met", false: "NOT MET"}[*row.Met]
		}
		cells(row.What, format(row.Value, row.Unit), before, spread, fastest, row.Bound, met)
	}
}

// callLines returns a line for each system call of a warm run: those with the most beyond an empty
// program's first, the scheduler's last.
func (r *report) callLines() (lines []string) {
	rank := func(name string) int {
		if slices.Contains(schedulerCalls, name) {
			return 1
		}
		return -r.Beyond[name]
	}
	names := slices.SortedFunc(maps.Keys(r.Calls), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	for _, name := range names {
		line := fmt.Sprintf("%-18s %4d %+5d", name, r.Calls[name], r.Beyond[name])
		if r.Beyond[name] > 0 {
			line += "  " + cmp.Or(callReasons[name], "?")
		}
		lines = append(lines, line)
	}
	return lines
}

// write writes bench.json and bench.svg to a directory, which it makes if it is not there.
func (r *report) write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bench.svg"), r.picture(), 0o644)
}
