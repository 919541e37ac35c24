package flags

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Cursor is the place on an unfinished command line where a shell asks for completions: the last
// word, which may be empty.
type Cursor struct {
	Command   *kong.Node // the command that the words before name; the root if they name none
	Arguments int        // words after the command and before the last word
	Word      string     // the last word, or the value in --flag=value
	Flag      *kong.Flag // the flag that Word is the value of; nil for none
	Given     Values     // flags of the words before, by long name
	OnlyWords bool       // a "--" precedes, so that Word is no flag
}

// NewCursor returns the place of the last word on the command line: args without the program's
// name. It reads the words as [Parse] does, as far as they can be read.
func NewCursor(args []string, model *kong.Application) Cursor {
	const probe = "\x00" // no argument can be this
	before, last := args[:len(args)-1], args[len(args)-1]
	probed := append(slices.Clone(before), probe)

	c := Cursor{Command: model.Node, Word: last, Given: Values{}}
	known := collectFlags(model.Node)
	words, _, _, _ := known.split(probed)
	for _, word := range words {
		i := slices.IndexFunc(c.Command.Children, func(n *kong.Node) bool { return n.Name == word })
		if i >= 0 && c.Arguments == 0 {
			c.Command = c.Command.Children[i]
		} else if word != probe {
			c.Arguments++
		}
	}
	known = known.overlay(collectFlags(c.Command))
	_, given, rest, _ := known.split(probed)
	c.OnlyWords = slices.Contains(rest, probe)
	for _, flag := range given {
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		if value == probe {
			c.Flag = known.long[name]
			return c
		}
		c.Given[name] = value
	}
	if !c.OnlyWords && strings.HasPrefix(last, "--") && strings.Contains(last, "=") {
		if f, value, _, err := known.find(last); err == nil {
			c.Flag, c.Word = f, value
		}
	}
	return c
}
