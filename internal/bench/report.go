package main

import (
	"bufio"
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// A limit is what a number may be, and where it is so far from that that something is wrong on
// however busy a machine.
type limit struct{ from, to, farFrom, farTo float64 }

func atMost(n, far float64) *limit  { return &limit{math.Inf(-1), n, math.Inf(-1), far} }
func atLeast(n, far float64) *limit { return &limit{n, math.Inf(1), far, math.Inf(1)} }
func exactly(n float64) *limit      { return &limit{n, n, n, n} }

// counted is for what was to be counted, and may be as it is.
func counted() *limit { return &limit{math.Inf(-1), math.Inf(1), math.Inf(-1), math.Inf(1)} }

func (l limit) String() string {
	switch {
	case l.from == l.to:
		return fmt.Sprint(l.to)
	case math.IsInf(l.from, -1) && math.IsInf(l.to, 1):
		return "counted"
	case math.IsInf(l.from, -1):
		return fmt.Sprint("at most ", l.to)
	}
	return fmt.Sprint("at least ", l.from)
}

func (l limit) met(n float64) bool { return l.from <= n && n <= l.to }
func (l limit) far(n float64) bool { return !(l.farFrom <= n && n <= l.farTo) }

// A row is a number that was measured, and what was promised of it, if anything was.
type row struct {
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	Spread *spread `json:"spread,omitempty"`
	// Fastest is the same of the fastest runs, which a busy machine changes least. 0: of this there
	// is none.
	Fastest float64 `json:"fastest,omitempty"`
	Bound   string  `json:"bound,omitempty"`
	Met     *bool   `json:"met,omitempty"`
	limit   *limit
}

// timing is how long a contestant took.
type timing struct {
	Name        string `json:"name"`
	Wall        spread `json:"wallMs"`
	CPU         spread `json:"cpuMs"`
	Requests    int    `json:"requests"`
	Connections int    `json:"connections"`
}

// A report is all that was found. Its times are milliseconds.
type report struct {
	Machine  string         `json:"machine"`
	Program  string         `json:"program"`
	Rounds   int            `json:"rounds"`
	Rows     []row          `json:"rows"`
	Timings  []timing       `json:"timings"`
	Files    []string       `json:"filesOpenedWarm,omitempty"`
	Calls    map[string]int `json:"systemCallsWarm,omitempty"`
	Beyond   map[string]int `json:"systemCallsWarmBeyondEmpty,omitempty"`
	Missing  []string       `json:"missing,omitempty"`
	Settings []string       `json:"settings"`
}

func (r *report) add(what, unit string, value float64, l *limit) {
	added := row{What: what, Unit: unit, Value: value, limit: l}
	if l != nil {
		met := l.met(value)
		added.Bound, added.Met = l.String(), &met
	}
	r.Rows = append(r.Rows, added)
}

func (r *report) addSpread(what, unit string, s spread, l *limit) {
	r.add(what, unit, s.Median, l)
	r.Rows[len(r.Rows)-1].Spread = &s
}

// addLeast adds the least of the values, for what chance only adds to.
func (r *report) addLeast(what, unit string, s spread, l *limit) {
	r.add(what, unit, s.Least, l)
	r.Rows[len(r.Rows)-1].Spread = &s
}

// addRatio adds how many times as long a takes as b.
func (r *report) addRatio(what string, a, b *contestant, l *limit) {
	r.addSpread(what, "", paired(a, b, over), l)
	r.Rows[len(r.Rows)-1].Fastest = slices.Min(ms(a.runs, wall)) / slices.Min(ms(b.runs, wall))
}

// far are the rows that are far beyond what was promised, in the middle and where nothing
// disturbed.
func (r *report) far() (rows []string) {
	for _, row := range r.Rows {
		if row.limit != nil && row.limit.far(row.Value) &&
			(row.Fastest == 0 || row.limit.far(row.Fastest)) {
			rows = append(
				rows,
				fmt.Sprintf(
					"%s: %s, and %s was promised",
					row.What,
					shown(row.Value, row.Unit),
					row.Bound,
				),
			)
		}
	}
	return rows
}

func shown(n float64, unit string) string {
	text := fmt.Sprintf("%.2f", n)
	if n == math.Trunc(n) {
		text = fmt.Sprint(n)
	}
	return strings.TrimSpace(text + " " + unit)
}

// print writes the report for people.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s\n\n", r.Machine, r.Program)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ONE RUN, MS\tMEDIAN\tQUARTILES\tFASTEST\tCPU\tREQUESTS")
	for _, t := range r.Timings {
		fmt.Fprintf(
			table,
			"%s\t%.2f\t%.2f to %.2f\t%.2f\t%.2f\t%d\n",
			t.Name,
			t.Wall.Median,
			t.Wall.P25,
			t.Wall.P75,
			t.Wall.Least,
			t.CPU.Median,
			t.Requests,
		)
	}
	fmt.Fprintln(table, "\t\t\t\t\t\nWHAT\tMEASURED\tMEDIAN WITHIN, QUARTILES\tFASTEST\tBOUND\t")
	for _, row := range r.Rows {
		within, fastest, met := "", "", ""
		if row.Fastest != 0 {
			fastest = fmt.Sprintf("%.2f", row.Fastest)
		}
		if s := row.Spread; s != nil {
			within = fmt.Sprintf("%.2f to %.2f, %.2f to %.2f", s.From, s.To, s.P25, s.P75)
		}
		if row.Met != nil {
			met = map[bool]string{true: "met", false: "NOT MET"}[*row.Met]
		}
		fmt.Fprintf(
			table,
			"%s\t%s\t%s\t%s\t%s\t%s\n",
			row.What,
			shown(row.Value, row.Unit),
			within,
			fastest,
			row.Bound,
			met,
		)
	}
	table.Flush()
	for _, list := range []struct {
		what  string
		lines []string
	}{
		{"Files that a warm run opens", r.Files},
		{"System calls of a warm run (at the end the scheduler's and its threads', as many as chance will have), and those that an empty program has not", r.callLines()},
		{"Not measured", r.Missing},
		{"How it was measured", r.Settings},
	} {
		if len(list.lines) > 0 {
			fmt.Fprintf(w, "\n%s:\n  %s\n", list.what, strings.Join(list.lines, "\n  "))
		}
	}
}

func (r *report) callLines() (lines []string) {
	order := func(name string) int {
		if slices.Contains(scheduling, name) {
			return 1
		}
		return -r.Beyond[name]
	}
	names := slices.SortedFunc(
		maps.Keys(r.Calls),
		func(a, b string) int { return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a, b)) },
	)
	for _, name := range names {
		line := fmt.Sprintf("%-18s %4d %+5d", name, r.Calls[name], r.Beyond[name])
		if r.Beyond[name] > 0 {
			line += "  " + cmp.Or(callReasons[name], "?")
		}
		lines = append(lines, line)
	}
	return lines
}

// write keeps the report in a folder, for machines and as a picture.
func (r *report) write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"bench.json": append(raw, '\n'), "bench.svg": r.picture()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// machine says what everything ran on.
func machine() string {
	model, kernel := runtime.GOARCH, ""
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, _ := strings.Cut(
				lines.Text(),
				":",
			); strings.TrimSpace(
				name,
			) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	if raw, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(raw))
	}
	return fmt.Sprintf("%d CPUs (%s), %s %s", runtime.NumCPU(), model, runtime.GOOS, kernel)
}

// load is how many processes wanted to run in the last minute, on average; "" where that is not
// known.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(raw), " ")
	return first
}

// built says what a program was built from.
func built(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return program
	}
	words := []string{info.Main.Path, info.Main.Version, info.GoVersion}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			words = append(words, s.Value[:min(12, len(s.Value))])
		}
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}
