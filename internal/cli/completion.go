package cli

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
)

// The completion scripts know nothing of the command line: they run akslogin __complete with the
// words that were typed, and show what it prints.
var (
	//go:embed completion/akslogin.bash
	bashCompletion string
	//go:embed completion/akslogin.zsh
	zshCompletion string
	//go:embed completion/akslogin.fish
	fishCompletion string
	//go:embed completion/akslogin.ps1
	powerShellCompletion string
)

type completionCommand struct {
	Shell string `arg:"" placeholder:"bash|zsh|fish|powershell" help:"bash, zsh, fish or powershell."`
}

// Help is the text of completion --help before the flags.
func (*completionCommand) Help() string {
	return strings.ReplaceAll(`Where each shell loads the script from:

    bash        source <({program} completion bash), in ~/.bashrc
    zsh         source <({program} completion zsh), in ~/.zshrc after compinit
    fish        {program} completion fish > ~/.config/fish/completions/{program}.fish
    powershell  {program} completion powershell | Out-String | Invoke-Expression, in $PROFILE`,
		"{program}", process.Name())
}

// Run prints the script.
func (c *completionCommand) Run() error {
	script, known := map[string]string{
		"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion, "powershell": powerShellCompletion,
	}[c.Shell]
	if !known {
		return &token.UsageError{Text: fmt.Sprintf("the shell is %q: it can be bash, zsh, fish or powershell", c.Shell)}
	}
	_, err := io.WriteString(os.Stdout, strings.ReplaceAll(script, "akslogin", process.Name()))
	return err
}

// completeCommand is the first argument of a run that a completion script starts. It is Cobra's,
// and so is what the run prints: kubectl asks plugins for completions in this way.
const completeCommand = "__complete"

// Cobra's directives, which tell the script what to complete if there are no candidates.
const (
	completeFiles   = 0
	completeNothing = 4
	completeFolders = 16
)

// candidate is a word that may stand on the command line, and what it means.
type candidate struct{ word, about string }

// printCompletions prints the words that may stand in the place of the last of args, each on a line
// with a tab and its description, and a last line with a colon and a directive. If it finds no
// words, for whatever reason, it prints only the directive: an error would appear in the line that
// somebody is typing.
func printCompletions(w io.Writer, args []string) {
	candidates, directive := completions(args)
	var out strings.Builder
	for _, c := range candidates {
		out.WriteString(c.word + "\t" + firstSentence(c.about) + "\n")
	}
	_, _ = io.WriteString(w, out.String()+":"+strconv.Itoa(directive)+"\n")
}

func completions(args []string) (found []candidate, directive int) {
	parser, err := flags.NewParser(new(grammar))
	if err != nil || len(args) == 0 || flags.CheckSize(args) != nil {
		return nil, completeNothing
	}
	if last := &args[len(args)-1]; *last == `""` { // an empty word of newer PowerShells
		*last = ""
	}
	c := flags.NewCursor(args, parser.Model)
	directive = completeNothing
	switch {
	case c.Flag != nil:
		found, directive = valueCandidates(c)
	case c.OnlyWords:
	case strings.HasPrefix(c.Word, "-"):
		found = flagCandidates(c)
	default:
		found = wordCandidates(c)
		if len(found) == 0 && c.Command.Leaf() && c.Word == "" {
			found = flagCandidates(c)
		}
	}
	return slices.DeleteFunc(found, func(f candidate) bool {
		// Names from a file may hold anything.
		return !strings.HasPrefix(f.word, c.Word) || f.word == "" || token.Clean(f.word) != f.word
	}), directive
}

// wordCandidates returns the commands or the arguments that may follow.
func wordCandidates(c flags.Cursor) (found []candidate) {
	if c.Arguments < len(c.Command.Positional) {
		for word := range strings.SplitSeq(c.Command.Positional[c.Arguments].Tag.PlaceHolder, "|") {
			found = append(found, candidate{word: word})
		}
	}
	for _, n := range c.Command.Children {
		if !n.Hidden && c.Arguments == 0 {
			found = append(found, candidate{n.Name, n.Help})
		}
	}
	return found
}

// flagCandidates returns the command's flags that are not given yet or may be repeated.
func flagCandidates(c flags.Cursor) (found []candidate) {
	for _, group := range c.Command.AllFlags(true) {
		for _, f := range group {
			if _, given := c.Given[f.Name]; !given || f.IsCumulative() {
				found = append(found, candidate{"--" + f.Name, flags.FlagHelp(f.Value)})
			}
		}
	}
	return found
}

// valueCandidates returns the values of the cursor's flag. Most come from its placeholder.
func valueCandidates(c flags.Cursor) (found []candidate, directive int) {
	var words []string
	switch placeholder := c.Flag.PlaceHolder; {
	case placeholder == "FILE" || placeholder == "PROGRAM":
		return nil, completeFiles
	case placeholder == "FOLDER":
		return nil, completeFolders
	case placeholder == "METHOD":
		for _, m := range token.Methods {
			found = append(found, candidate{m.Name, m.About})
		}
	case placeholder == "FORMAT":
		for _, f := range outputFormats {
			found = append(found, candidate{f.name, f.about})
		}
	case placeholder == "CLOUD":
		words = token.EnvironmentNames()
	case strings.Contains(placeholder, "|"):
		words = strings.Split(placeholder, "|")
	case c.Flag.Name == "context":
		words = contextNames(c.Given["kubeconfig"])
	case c.Flag.Name == "as":
		words = []string{"akslogin", "kubelogin"}
	}
	for _, word := range words {
		found = append(found, candidate{word: word})
	}
	return found, completeNothing
}

// contextNames returns the names of the contexts in the kubeconfig, "" for those that kubectl
// reads.
func contextNames(path string) (names []string) {
	files, err := kubeconfig.Load(expandPath(path))
	if err != nil {
		return nil
	}
	for _, f := range files {
		for _, c := range f.Contexts {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// firstSentence returns the text before its first full stop, without the marks of Markdown.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(text, ". ")
	return strings.TrimSuffix(strings.ReplaceAll(text, "`", ""), ".")
}

// Model returns the model of the command line, for generators.
func Model() (*kong.Application, error) {
	parser, err := flags.NewParser(new(grammar))
	if err != nil {
		return nil, err
	}
	return parser.Model, nil
}
