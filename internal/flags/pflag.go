package flags

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/akslogin/akslogin/token"
	"github.com/alecthomas/kong"
)

// normalizeArgs writes a command line that pflag would take, as kubelogin does, so that kong reads
// the same in it: the command first, wherever it stood; every flag as --name=value, whether it was
// -x=value, -xvalue, -x value or --name value; a value may begin with a dash. It returns the words
// that kubelogin ignores after get-token. Its errors do not repeat what may be a secret.
func normalizeArgs(args []string, model *kong.Application) (normal, ignored []string, err error) {
	known := collectFlags(model.Node)
	words, flags, rest, err := known.split(args)
	if i := slices.IndexFunc(
		model.Children,
		func(n *kong.Node) bool { return n.Name == firstArg(words) },
	); i >= 0 &&
		known.kindsConflict {
		// Another command has a flag of the same name and another kind: this command's count.
		words, flags, rest, err = known.overlay(collectFlags(model.Children[i])).split(args)
	}
	if err != nil {
		return nil, nil, err
	}
	switch name := firstArg(words); {
	case name == "help":
		words, flags = words[1:], append(flags, "--help")
	case name == "get-token":
		words, ignored, rest = words[:1], slices.Concat(words[1:], rest), nil
	case name != "" && !slices.ContainsFunc(model.Children, func(n *kong.Node) bool { return n.Name == name }):
		return nil, nil, &token.UsageError{Text: "unknown command " + name, Hint: helpHint}
	}
	if len(rest) > 0 {
		flags = slices.Concat(flags, []string{"--"}, rest)
	}
	return slices.Concat(words, flags), ignored, nil
}

func firstArg(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// split tells words from flags, which it writes as kong reads them, and from what stands behind
// "--". With an error it returns what it read so far.
func (known knownFlags) split(args []string) (words, flags, rest []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return words, flags, args, nil
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

// knownFlags are the flags of one or all commands, by their names and by their short forms.
type knownFlags struct {
	long          map[string]*kong.Flag
	short         map[rune]*kong.Flag
	kindsConflict bool // commands have flags of one name and of different kinds
}

func collectFlags(node *kong.Node) knownFlags {
	known := knownFlags{long: map[string]*kong.Flag{}, short: map[rune]*kong.Flag{}}
	_ = kong.Visit(node, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			for _, name := range append(f.Aliases, f.Name) {
				other := known.long[name]
				known.kindsConflict = known.kindsConflict ||
					other != nil && other.IsBool() != f.IsBool()
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

// overlay returns these flags with a command's in place of others of the same names.
func (known knownFlags) overlay(command knownFlags) knownFlags {
	maps.Copy(known.long, command.long)
	maps.Copy(known.short, command.short)
	return known
}

// find tells which flag arg is, and its value where that is attached to it.
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

// takeValue takes a flag's value from the arguments behind it.
func (known knownFlags) takeValue(
	f *kong.Flag,
	args []string,
) (value string, rest []string, err error) {
	next := firstArg(args)
	switch {
	case f.IsBool():
		return "true", args, nil
	case f.Name == "v": // the level may be left out
		if _, err := strconv.Atoi(next); err != nil {
			return "1", args, nil
		}
	case len(args) == 0:
		return "", nil, &token.UsageError{
			Text: "--" + f.Name + " needs a value, and the command line ends there",
		}
	}
	if name, isFlag := strings.CutPrefix(next, "--"); isFlag {
		if name, _, _ = strings.Cut(name, "="); known.long[name] != nil {
			return "", nil, &token.UsageError{
				Text: "--" + f.Name + " needs a value, and the flag --" + name + " follows it",
			}
		}
	}
	return next, args[1:], nil
}

// appendFlag adds a flag with its value as kong reads it. Kong's own --help and --version take no
// value.
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
		return nil, &token.UsageError{Text: "--" + f.Name + " is either true or false"}
	case on:
		return append(flags, "--"+f.Name), nil
	case f.Name == "help" || f.Name == "version":
		return flags, nil
	}
	return append(flags, "--"+f.Name+"=false"), nil
}

// unknownFlagError names a flag, and leaves out what follows the name: it may be a value that was
// meant for a flag.
func (known knownFlags) unknownFlagError(arg string) error {
	name := arg
	if !strings.HasPrefix(arg, "--") { // the rest of a short one is its value
		name = string([]rune(arg)[:2])
	}
	end := strings.IndexFunc(arg, func(c rune) bool {
		return c != '-' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
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
	return &token.UsageError{Text: "unknown flag " + name, Hint: helpHint}
}

const helpHint = "akslogin --help lists commands, akslogin get-token --help its flags"
