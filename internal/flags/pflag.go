package flags

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/akslogin/akslogin/token"
	"github.com/alecthomas/kong"
)

// normalizeArgs rewrites args that pflag takes so that kong reads the same in them. The command
// comes first, wherever it was. Each flag becomes --name=value, also if it was -x=value, -xvalue,
// -x value or --name value. A value may begin with a dash. ignored are the words after get-token,
// which kubelogin ignores. Errors name flags and no values, which may be secrets.
func normalizeArgs(args []string, model *kong.Application) (normal, ignored []string, err error) {
	known := collectFlags(model.Node)
	known.suggested = commandOf(model.Node, args)
	words, flags, rest, err := known.split(args)
	name := firstArg(words)
	i := slices.IndexFunc(model.Children, func(n *kong.Node) bool { return n.Name == name })
	if i >= 0 && known.kindsConflict { // Another command has a flag of this name and another kind.
		words, flags, rest, err = known.overlay(collectFlags(model.Children[i])).split(args)
	}
	switch {
	case name != "" && name != "help" && i < 0: // an unknown command: its flags do not matter
		return nil, nil, unknownCommandError(name, model.Node)
	case err != nil:
		return nil, nil, err
	case name == "help":
		words, flags = words[1:], append(flags, "--help")
	case name == "get-token":
		words, ignored, rest = words[:1], slices.Concat(words[1:], rest), nil
	}
	if len(rest) > 0 {
		flags = slices.Concat(flags, []string{"--"}, rest)
	}
	return slices.Concat(words, flags), ignored, nil
}

const unknownCommand = "unknown command "

func unknownCommandError(name string, parent *kong.Node) error {
	var names []string
	for _, command := range parent.Children {
		if !command.Hidden {
			names = append(names, command.Name)
		}
	}
	return &token.UsageError{Text: unknownCommand + name, Hint: token.DidYouMean(name, "", names)}
}

// commandOf returns the command that args run, or else node. args may have flags before it.
func commandOf(node *kong.Node, args []string) *kong.Node {
	for _, arg := range args {
		i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == arg })
		if i >= 0 {
			node = node.Children[i]
		}
	}
	return node
}

// commandWords returns the words that run the command, "" for nil and for the root.
func commandWords(command *kong.Node) string {
	if command == nil {
		return ""
	}
	_, words, _ := strings.Cut(command.FullPath(), " ")
	return words
}

// asksForHelp reports whether kong will print the help or the version and end the program.
func asksForHelp(normalized []string) bool {
	return slices.Contains(normalized, "--help") || slices.Contains(normalized, "--version")
}

func firstArg(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// split separates words from flags and from what follows "--". It writes flags as kong reads them.
// With an error it returns what it has read so far.
func (known knownFlags) split(args []string) (words, flags, rest []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return words, flags, args, nil
		}
		if err := known.checkDashes(arg, false); err != nil {
			return words, flags, nil, err
		}
		if len(arg) < 2 || arg[0] != '-' {
			words = append(words, arg)
			continue
		}
		f, value, attached, err := known.find(arg)
		if err == nil && !attached {
			value, args, err = known.takeValue(f, args)
		}
		if err == nil {
			flags, err = appendFlag(flags, f, value)
		}
		if err != nil {
			return words, flags, nil, err
		}
	}
	return words, flags, nil, nil
}

// knownFlags are the flags of one command or of all, by long name and by short form.
type knownFlags struct {
	long          map[string]*kong.Flag
	short         map[rune]*kong.Flag
	kindsConflict bool // two commands have a flag of one name, of which one takes no value

	suggested *kong.Node // the command whose flags are suggested for an unknown one; nil: none are
}

func collectFlags(node *kong.Node) knownFlags {
	known := knownFlags{long: map[string]*kong.Flag{}, short: map[rune]*kong.Flag{}}
	_ = kong.Visit(node, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			for _, name := range append(f.Aliases, f.Name) {
				if other := known.long[name]; other != nil && other.IsBool() != f.IsBool() {
					known.kindsConflict = true
				}
				known.long[name] = f
			}
			if f.Short != 0 {
				known.short[f.Short] = f
			}
		}
		return next(nil)
	})
	return known
}

// overlay replaces flags by those of the command that have the same names.
func (known knownFlags) overlay(command knownFlags) knownFlags {
	maps.Copy(known.long, command.long)
	maps.Copy(known.short, command.short)
	return known
}

// find returns the flag that arg is. If its value is attached to it, find returns that too.
func (known knownFlags) find(arg string) (f *kong.Flag, value string, attached bool, err error) {
	if strings.HasPrefix(arg, "--") {
		name, value, attached := strings.Cut(arg[2:], "=")
		if f = known.long[name]; f == nil {
			return nil, "", false, known.unknownFlagError(arg)
		}
		return f, value, attached, nil
	}
	if name, _, _ := strings.Cut(arg[1:], "="); len(name) > 1 && known.long[name] != nil {
		return nil, "", false, &token.UsageError{
			Text: "unknown flag -" + name,
			Hint: "it is --" + name + ", with two dashes",
		}
	}
	if f = known.short[rune(arg[1])]; f == nil {
		return nil, "", false, known.unknownFlagError(arg)
	}
	return f, strings.TrimPrefix(arg[2:], "="), len(arg) > 2, nil
}

// takeValue takes the flag's value from the front of args and returns the rest of them.
func (known knownFlags) takeValue(f *kong.Flag, args []string) (value string, rest []string, err error) {
	next := firstArg(args)
	switch {
	case f.IsBool():
		return "true", args, nil
	case f.Name == "v": // its value is optional
		if _, err := strconv.Atoi(next); err != nil {
			return "1", args, nil
		}
	case len(args) == 0:
		return "", nil, &token.UsageError{Text: "--" + f.Name + " needs a value, and the command line ends there"}
	}
	if err := known.checkDashes(next, true); err != nil {
		return "", nil, err
	}
	if name, isFlag := strings.CutPrefix(next, "--"); isFlag {
		if name, _, _ = strings.Cut(name, "="); known.long[name] != nil {
			return "", nil, &token.UsageError{Text: "--" + f.Name + " needs a value, and the flag --" + name + " follows it"}
		}
	}
	return next, args[1:], nil
}

// appendFlag appends the flag as kong reads it. kong's own --help and --version take no value.
func appendFlag(flags []string, f *kong.Flag, value string) ([]string, error) {
	if _, err := strconv.Atoi(value); f.Name == "v" && err != nil {
		return nil, &token.UsageError{Text: "--v needs a whole number"}
	}
	if !f.IsBool() {
		return append(flags, "--"+f.Name+"="+value), nil
	}
	on, err := strconv.ParseBool(value)
	switch {
	case err != nil:
		return nil, &token.UsageError{Text: "--" + f.Name + " must be true or false"}
	case on:
		return append(flags, "--"+f.Name), nil
	case f.Name == "help" || f.Name == "version":
		return flags, nil
	}
	return append(flags, "--"+f.Name+"=false"), nil
}

// unknownFlagError names the flag and leaves out what follows its name, which may be a value that
// was meant for another flag.
func (known knownFlags) unknownFlagError(arg string) error {
	name := arg
	if !strings.HasPrefix(arg, "--") { // The rest of a short flag is its value.
		name = string([]rune(arg)[:2])
	}
	end := strings.IndexFunc(arg, func(c rune) bool {
		return c != '-' && c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
	})
	if 0 <= end && end < len(name) {
		name = arg[:end]
	}
	if known.long[strings.TrimPrefix(name, "--")] != nil {
		return &token.UsageError{
			Text: "one argument holds the flag " + name + " and more",
			Hint: "flag and value are two arguments, or one as " + name + "=VALUE",
		}
	}
	return &token.UsageError{Text: "unknown flag " + name, Hint: known.similar(name)}
}

// similar returns a question whether another flag was meant, or "" if none is similar.
func (known knownFlags) similar(name string) string {
	var names []string
	for node := known.suggested; node != nil; node = node.Parent {
		for _, f := range node.Flags {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		}
	}
	if !strings.HasPrefix(name, "--") {
		return ""
	}
	return token.DidYouMean(name[2:], "--", names)
}
