// Man prints the manual page akslogin(1), in the mdoc format that mandoc and groff read. It is made
// from the command line's grammar and the tables behind its help.
//
//	go run ./internal/man >akslogin.1
//
// Its date is that of $SOURCE_DATE_EPOCH, or else of the commit, so that it can be reproduced.
package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/akslogin/akslogin/internal/cli"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

func main() {
	date, err := sourceDate()
	if err == nil {
		var text string
		if text, err = manual(date); err == nil {
			_, err = os.Stdout.WriteString(text)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

func sourceDate() (time.Time, error) {
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		out, err := exec.Command("git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is not set, and this is not a Git "+
				"checkout: git log: %w", err)
		}
		seconds = strings.TrimSpace(string(out))
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	return time.Unix(n, 0).UTC(), err
}

// page is a manual page that is being written.
type page struct{ strings.Builder }

// macro writes a line with a macro. Its words are macros and their arguments.
func (p *page) macro(words ...string) { p.WriteString("." + strings.Join(words, " ") + "\n") }

// text writes text. Each sentence begins on a line of its own, as mdoc wants it, and what is
// indented keeps its line breaks.
func (p *page) text(text string) {
	escape := strings.NewReplacer(`\`, `\e`, "`", "").Replace
	literal := false
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		indented := strings.HasPrefix(line, "  ")
		switch {
		case line == "":
			continue
		case indented && !literal:
			p.macro("Bd", "-literal", "-offset", "indent")
		case !indented && literal:
			p.macro("Ed")
		case !indented && i > 0:
			p.macro("Pp")
		}
		if literal = indented; literal {
			line = strings.TrimPrefix(line, "    ")
		} else {
			line = strings.ReplaceAll(line, ". ", ".\n")
		}
		for part := range strings.SplitSeq(escape(line), "\n") {
			if strings.HasPrefix(part, ".") || strings.HasPrefix(part, "'") {
				part = `\&` + part
			}
			p.WriteString(part + "\n")
		}
	}
	if literal {
		p.macro("Ed")
	}
}

func manual(date time.Time) (string, error) {
	os.Args[0] = "akslogin" // help names the program by the name that it was called by
	model, err := cli.Model()
	if err != nil {
		return "", err
	}
	p := new(page)
	p.macro("Dd", date.Format("January 2, 2006"))
	p.macro("Dt", "AKSLOGIN", "1")
	p.macro("Os")
	p.macro("nh") // names of variables are not hyphenated
	p.macro("Sh", "NAME")
	p.macro("Nm", model.Name)
	p.macro("Nd", "exec credential plugin for AKS")
	p.macro("Sh", "SYNOPSIS")
	for _, command := range model.Leaves(true) {
		words := append([]string{"Nm", model.Name, "Cm"}, strings.Fields(command.Path())...)
		for _, argument := range command.Positional {
			words = append(words, "Ar", argument.Name)
		}
		p.macro(append(words, "Op", "Ar", "flags")...)
	}
	p.macro("Sh", "DESCRIPTION")
	p.text(model.Help)
	p.macro("Pp")
	p.text("Every command accepts these flags:")
	p.flags(model.Flags)
	p.commands(model)
	p.methods()
	p.environment(model)
	p.rest()
	return p.String(), nil
}

// commands describes the commands. Those that take all flags of get-token refer to it.
func (p *page) commands(model *kong.Application) {
	common := map[string]string{}
	p.macro("Sh", "COMMANDS")
	p.text("The environment variables that set a flag follow its description, in parentheses. " +
		"A variable marked ! overrides the flag; the flag overrides the others. " +
		"A variable marked \"under --use-azurerm-env-vars\" is read only with that flag.")
	for _, command := range model.Leaves(true) {
		var own []*kong.Flag
		shared := 0
		for _, f := range command.Flags {
			if common[f.Name] == f.Help && !f.Hidden {
				shared++
			} else {
				own = append(own, f)
			}
		}
		takesAll := shared > 0 && shared == len(common)
		if command.Name == "get-token" {
			for _, f := range command.Flags {
				if !f.Hidden {
					common[f.Name] = f.Help
				}
			}
		} else if !takesAll {
			own = command.Flags
		}
		p.macro("Ss", command.Path())
		p.text(command.Help)
		if command.Detail != "" {
			p.macro("Pp")
			p.text(command.Detail)
		}
		p.flags(own)
		if takesAll {
			p.macro("Pp")
			p.text("The command also accepts all flags of get-token.")
		}
	}
}

func (p *page) flags(list []*kong.Flag) {
	opened := false
	for _, f := range list {
		if f.Hidden {
			continue
		}
		if !opened {
			p.macro("Bl", "-tag", "-width", "Ds")
			opened = true
		}
		words := []string{"It"}
		if f.Short != 0 {
			words = append(words, "Fl", string(f.Short), ",")
		}
		words = append(words, "Fl", "-"+f.Name)
		if !f.IsBool() {
			words = append(words, "Ar", f.FormatPlaceHolder())
		}
		p.macro(words...)
		p.text(flags.FlagHelp(f.Value))
	}
	if opened {
		p.macro("El")
	}
}

func (p *page) methods() {
	p.macro("Sh", "LOGIN METHODS")
	p.text("The values of --login, and what each needs:")
	p.macro("Bl", "-tag", "-width", "Ds")
	for _, m := range token.Methods {
		p.macro("It", "Cm", m.Name)
		p.text(m.About)
		if len(m.Required) > 0 {
			p.macro("Pp")
			p.text("Needs --" + strings.ReplaceAll(strings.Join(m.Required, ", --"), "|", " or --") + ".")
		}
	}
	p.macro("El")
}

// environment lists the variables that flags are read from, each with its flags, and the others.
func (p *page) environment(model *kong.Application) {
	about := map[string]string{}
	var names []string
	for _, command := range model.Leaves(true) {
		for _, f := range command.Flags {
			for _, v := range token.Variables(f.Tag.Get) {
				text := "See --" + f.Name
				if v.Overrides {
					text += ", which it overrides"
				}
				if v.AzureRM {
					text += " under --use-azurerm-env-vars"
				}
				if about[v.Name] == "" {
					names = append(names, v.Name)
				}
				about[v.Name] = cmp.Or(about[v.Name], text+".")
			}
		}
	}
	p.macro("Sh", "ENVIRONMENT")
	p.text("An empty variable counts as unset.")
	p.macro("Bl", "-tag", "-width", "Ds")
	for _, name := range names {
		p.macro("It", "Ev", name)
		p.text(about[name])
	}
	for _, group := range flags.VariablesWithoutFlag() {
		p.macro("It", "Ev", strings.Join(group.Names, " , Ev "))
		p.text(group.About)
	}
	p.macro("It", "Ev", "KUBECONFIG")
	p.text("The kubeconfig files to use if --kubeconfig is not given.")
	p.macro("El")
}

func (p *page) rest() {
	p.macro("Sh", "FILES")
	p.macro("Bl", "-tag", "-width", "Ds")
	p.macro("It", "Pa", "~/.cache/akslogin")
	p.text("The cache folder on Linux. akslogin cache path prints its path on any system.")
	p.macro("It", "Pa", token.WellKnownTokenFile)
	p.text("Where the AKS webhook mounts the federated token of a pod.")
	p.macro("El")
	p.macro("Sh", "EXIT STATUS")
	p.macro("Bl", "-tag", "-width", "Ds")
	p.macro("It", "0")
	p.text("The command succeeded.")
	for _, s := range flags.ExitStatuses {
		p.macro("It", strconv.Itoa(s.Status))
		if s.Status == token.ExitLoginFailed {
			s.About += ", or the command failed, or doctor found an error"
		}
		p.text(s.About)
	}
	p.macro("El")
	p.macro("Sh", "EXAMPLES")
	p.text(`Make the current kubeconfig use the federated token of a pod or of a CI job:

    akslogin convert-kubeconfig --login workloadidentity

Find out why a login fails:

    akslogin doctor

Copy the program for another container of the pod:

    akslogin install --to /shared`)
	p.macro("Sh", "SEE ALSO")
	p.macro("Lk", "https://github.com/akslogin/akslogin")
}
