package cli

import (
	"cmp"
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
	Path  cachePath  `cmd:"" help:"Print the cache's folder."`
}

type cacheList struct{ flags.Cache }

// Run prints what the entries say of themselves: they cannot be opened without what they were
// sealed with.
func (c *cacheList) Run(w options) error {
	dir := w.cacheDir(c.Cache)
	entries, err := dir.List()
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e cache.Listing) bool {
		return !slices.Contains([]string{token.HoldsToken, token.HoldsSignIn}, e.Kind)
	})
	slices.SortFunc(entries, func(a, b cache.Listing) int { return a.Stored.Compare(b.Stored) })
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOLDS\tMETHOD\tWHO\tCLIENT\tTENANT\tAUDIENCE\tAUTHORITY\tAGE\tLIFE LEFT")
	for _, e := range entries {
		input := parseInputs(e.Inputs)
		left := e.Expires.Sub(dir.Now()).Round(time.Second)
		fmt.Fprintf(
			table,
			"%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			e.Kind,
			input["method"],
			cmp.Or(
				input["username"],
				input["hint"],
				input["identity"],
				input["subscription"],
				input["connection"],
			),
			input["client"],
			input["tenant"],
			input["audience"],
			input["authority"],
			dir.Now().Sub(e.Stored).Round(time.Second),
			max(left, 0),
		)
	}
	return table.Flush()
}

// maxCellLength is more than names and addresses have.
const maxCellLength = 100

// parseInputs splits "name=value". The file may say anything, so what is not plain is quoted, and
// what is long is cut.
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

// Run removes this program's files and no others.
func (c *cacheClear) Run(w options) error {
	dir := w.cacheDir(c.Cache)
	n, err := dir.Clear()
	if err != nil {
		return err
	}
	_, err = fmt.Printf("cached entries removed from %s: %d\n", token.Clean(dir.Path), n)
	return err
}

type cachePath struct{ flags.Cache }

// Run prints the folder, whether it is there or not.
func (c *cachePath) Run(w options) error {
	_, err := fmt.Println(w.cacheDir(c.Cache).Path)
	return err
}
