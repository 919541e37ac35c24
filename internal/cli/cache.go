package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

type cacheCommands struct {
	List  cacheList  `cmd:"" help:"Show whose tokens are cached, how old they are and how long they last."`
	Clear cacheClear `cmd:"" help:"Remove the cached tokens."`
	Path  cachePath  `cmd:"" help:"Print the path of the cache folder."`
}

type cacheList struct {
	flags.Cache
	Output string `name:"output" short:"o" group:"cache" placeholder:"text|json" otherwise:"text" help:"A table, or JSON."`
}

// cachedEntry is an entry as cache list shows it. An input that its login does not have is empty.
type cachedEntry struct {
	Holds     string    `json:"holds"`
	Method    string    `json:"method"`
	Who       string    `json:"who,omitempty"`
	Client    string    `json:"client,omitempty"`
	Tenant    string    `json:"tenant,omitempty"`
	Audience  string    `json:"audience,omitempty"`
	Authority string    `json:"authority,omitempty"`
	Stored    time.Time `json:"stored"`
	Expires   time.Time `json:"expires"`
}

// Run prints the readable header of each entry. The tokens stay sealed: opening an entry takes the
// secret that it was sealed with.
func (c *cacheList) Run(o options) error {
	if output := cmp.Or(c.Output, "text"); output != "text" && output != "json" {
		return &token.UsageError{Text: fmt.Sprintf("--output is %q: it can be text or json", output)}
	}
	dir := o.cacheDir(c.Cache)
	listed, err := dir.List()
	if err != nil {
		return err
	}
	slices.SortFunc(listed, func(a, b cache.Listing) int { return a.Stored.Compare(b.Stored) })
	entries := []cachedEntry{} // not nil, which is null in JSON
	for _, e := range listed {
		if e.Kind != token.HoldsToken && e.Kind != token.HoldsSignIn {
			continue
		}
		in := parseInputs(e.Inputs)
		who := cmp.Or(in["username"], in["hint"], in["identity"], in["subscription"], in["connection"])
		entries = append(entries, cachedEntry{
			e.Kind, in["method"], who, in["client"], in["tenant"], in["audience"], in["authority"],
			e.Stored, e.Expires,
		})
	}
	switch {
	case c.Output == "json":
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(entries)
	case len(entries) == 0:
		_, err := fmt.Printf("nothing is cached in %s\n", token.Clean(dir.Path))
		return err
	}
	return printEntries(entries, dir.Now())
}

func printEntries(entries []cachedEntry, now time.Time) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOLDS\tMETHOD\tWHO\tCLIENT\tTENANT\tAUDIENCE\tAUTHORITY\tAGE\tLIFE LEFT")
	for _, e := range entries {
		age := now.Sub(e.Stored).Round(time.Second)
		left := max(e.Expires.Sub(now).Round(time.Second), 0)
		cells := []string{
			e.Holds, e.Method, e.Who, e.Client, e.Tenant, e.Audience, e.Authority,
			age.String(), left.String(),
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

// maxCellLength is longer than any name or address that a login has.
const maxCellLength = 100

// parseInputs splits pairs of the form "name=value". Values come from a file that anybody may have
// written: those with control or non-ASCII characters are quoted, and long ones are cut.
func parseInputs(pairs []string) map[string]string {
	m := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if quoted := strconv.QuoteToASCII(value); quoted != `"`+value+`"` {
			value = quoted
		}
		if len(value) > maxCellLength {
			value = value[:maxCellLength] + "..."
		}
		m[name] = value
	}
	return m
}

type cacheClear struct{ flags.Cache }

// Run removes this program's files from the cache directory, and no others. If there is another
// directory that was or will be used in its place, Run does the same there as far as it may.
func (c *cacheClear) Run(o options) error {
	dir := o.cacheDir(c.Cache)
	n, err := dir.Clear()
	if err != nil {
		return err
	}
	const removed = "cached entries removed from %s: %d\n"
	_, err = fmt.Printf(removed, token.Clean(dir.Path), n)
	if dir.Path, _ = c.Fallback(); err != nil || dir.Path == "" {
		return err
	}
	if n, _ = dir.Clear(); n > 0 {
		_, err = fmt.Printf(removed, token.Clean(dir.Path), n)
	}
	return err
}

type cachePath struct{ flags.Cache }

// Run prints the cache directory, which need not exist.
func (c *cachePath) Run(o options) error {
	_, err := fmt.Println(o.cacheDir(c.Cache).Path)
	return err
}
