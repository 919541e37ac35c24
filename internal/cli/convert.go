package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/stanza"
	"github.com/akslogin/akslogin/token"
)

// convertCommand makes kubeconfigs run this program.
type convertCommand struct {
	Kubeconfig     string `name:"kubeconfig" group:"kubeconfig" placeholder:"FILE" help:"The file to convert; by default those of $KUBECONFIG, or else ~/.kube/config."`
	Context        string `name:"context" group:"kubeconfig" placeholder:"NAME" help:"Convert only this context's user."`
	Command        string `name:"command" group:"kubeconfig" placeholder:"PROGRAM" otherwise:"akslogin" help:"How this program is called: a name on the PATH, or an absolute path."`
	AzureConfigDir string `name:"azure-config-dir" group:"kubeconfig" placeholder:"FOLDER" help:"azurecli: the folder of az, written as AZURE_CONFIG_DIR into the stanza."`
	DryRun         bool   `name:"dry-run" group:"kubeconfig" help:"Show what would change, without secrets, and change nothing."`

	token.Request
	flags.Cache
	flags.Log
}

// Help is what convert-kubeconfig --help says before the flags.
func (*convertCommand) Help() string {
	return "Users that run kubelogin or akslogin, or log in with the azure auth-provider, are converted; all else in the file stays as it is, byte for byte. " +
		"Without --login a stanza keeps its login method. Flags of get-token that are given become arguments of the stanza; of variables only AAD_LOGIN_METHOD is read."
}

// Run converts all or nothing: a user that cannot be converted is found before the first file is
// written.
func (c *convertCommand) Run(line *flags.CommandLine, w options) error {
	if c.Command != "" && !stanza.IsPortableCommand(c.Command) {
		return stanza.PortableCommandError(c.Command)
	}
	v := stanza.Converter{Options: stanza.Options{
		Command: c.Command, Context: c.Context, AzureConfigDir: c.AzureConfigDir, DryRun: c.DryRun,
		Flags: line.Values(), LockTimeout: cmp.Or(w.kubeconfigLockTimeout, kubeconfigLockTimeout),
	}}
	var err error
	if v.Login, err = c.chooseLogin(line); err != nil {
		return err
	}
	named := ""
	if c.Kubeconfig != "" {
		named = cache.ExpandPath(c.Kubeconfig)
	}
	files, err := kubeconfig.Load(named)
	if err != nil {
		return err
	}
	if v.User, err = files.ContextUser(c.Context); err != nil {
		var missing *kubeconfig.NotFoundError
		if errors.As(err, &missing) {
			return &token.FailedError{Text: missing.Text, Hint: missing.Hint}
		}
		return err
	}
	var all []stanza.Conversion
	for i, f := range files {
		done, err := v.Convert(f, files[:i])
		if err != nil {
			return err
		}
		all = append(all, done)
	}
	if !slices.ContainsFunc(all, func(d stanza.Conversion) bool { return d.Matched }) {
		return nothingConvertedError(all, files)
	}
	for i, f := range files {
		if !bytes.Equal(all[i].Content, f.Source()) {
			if err := kubeconfig.CheckWritable(f.Path); err != nil {
				return err
			}
		}
	}
	for _, flag := range stanza.UnusedFlags(all) {
		printWarning("not written, since it has no meaning there: " + flag)
	}
	for i, f := range files {
		if !c.DryRun && !bytes.Equal(all[i].Content, f.Source()) {
			if all[i], err = v.ConvertFile(f, files[:i]); err != nil {
				return err
			}
		}
		fmt.Print(all[i].Report)
	}
	return nil
}

// chooseLogin takes the method from flag or variable; "" where neither says one.
func (c *convertCommand) chooseLogin(line *flags.CommandLine) (login string, err error) {
	r, err := c.Resolve(line.Explicit, flags.EnvSubset("AAD_LOGIN_METHOD"))
	if err != nil {
		return "", err
	}
	if from := r.From["login"]; from == "--login" || strings.HasPrefix(from, "$") {
		if m, err := r.Check(); m.Name == "" {
			return "", err
		}
		login = r.Login
	}
	given := line.Values()
	if (given["pop-enabled"] == "true") != (given["pop-claims"] != "") {
		return "", &token.UsageError{
			Text: "--pop-enabled and --pop-claims go together, and only one of them is given",
		}
	}
	return login, r.CheckValues()
}

// kubeconfigLockTimeout is how long another program may take to write a kubeconfig.
const kubeconfigLockTimeout = 10 * time.Second

// nothingConvertedError says why.
func nothingConvertedError(all []stanza.Conversion, files kubeconfig.Files) error {
	var report, paths []string
	for i, done := range all {
		paths = append(paths, files[i].Path)
		report = append(report, strings.Split(strings.TrimSpace(done.Report), "\n")...)
	}
	report = slices.DeleteFunc(report, func(line string) bool { return line == "" })
	for _, line := range report {
		fmt.Println(line)
	}
	switch {
	case len(files) == 0:
		return &token.FailedError{
			Text: "there is no kubeconfig: none of the files that $KUBECONFIG or ~/.kube/config name is there",
			Hint: "name one with --kubeconfig",
		}
	case len(report) == 0:
		return &token.FailedError{
			Text: "nothing was converted: no users in " + strings.Join(paths, ", "),
		}
	}
	return &token.FailedError{
		Text: "nothing was converted: no user runs kubelogin or akslogin, or has the azure auth-provider, in " + strings.Join(
			paths,
			", ",
		),
		Hint: "standard output says of each user why",
	}
}
