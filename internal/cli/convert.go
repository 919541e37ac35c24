package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/internal/stanza"
	"github.com/akslogin/akslogin/token"
)

// convertCommand makes existing kubeconfigs run this program.
type convertCommand struct {
	Kubeconfig     string `name:"kubeconfig" group:"kubeconfig" placeholder:"FILE" help:"The file to convert; by default those of $KUBECONFIG, or else ~/.kube/config. - reads standard input and writes the result to standard output."`
	Outfile        string `name:"outfile" group:"kubeconfig" placeholder:"FILE" help:"Write the result to this file, and leave the original unchanged. - means standard output."`
	Context        string `name:"context" group:"kubeconfig" placeholder:"NAME" help:"Convert only this context's user."`
	Command        string `name:"command" group:"kubeconfig" placeholder:"PROGRAM" otherwise:"{program}" help:"How this program is called: a name on the PATH, or an absolute path."`
	AzureConfigDir string `name:"azure-config-dir" group:"kubeconfig" placeholder:"FOLDER" help:"azurecli: az's configuration folder, written to the exec config as AZURE_CONFIG_DIR."`
	Force          bool   `name:"force" group:"kubeconfig" help:"Called as kubelogin, without --context: convert all users. By default, such a call converts only users with kubelogin or the azure auth-provider, and does not change a login method that needs no person to azurecli."`
	DryRun         bool   `name:"dry-run" group:"kubeconfig" help:"Show what would change, without secrets, and change nothing."`

	token.Request
	flags.Cache
	flags.Log
}

// Help is the text of convert-kubeconfig --help before the flags.
func (*convertCommand) Help() string {
	return "Converts users that run kubelogin or akslogin, or log in with the azure auth-provider. " +
		"Everything else in the file stays as it is, byte for byte. " +
		"Without --login an exec config keeps its login method. " +
		"get-token flags on this command line become arguments of the exec config. " +
		"AAD_LOGIN_METHOD is the only environment variable that is read."
}

// kubeconfigLockTimeout is how long to wait for another program that writes the same kubeconfig.
const kubeconfigLockTimeout = 10 * time.Second

// untilSignal returns a context that ends with a signal that would end the program. Until stop, the
// signal does nothing else.
func untilSignal() (ctx context.Context, stop context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// Run converts all users or none: it finds a user that cannot be converted before it writes the
// first file.
func (c *convertCommand) Run(line *flags.CommandLine, o options) error {
	// A signal must not leave a lock file, which nobody would remove. On a signal, Go ends the
	// program while other threads go on, so signals are caught long before a file is created.
	ctx, stop := untilSignal()
	defer stop()
	converter, files, err := c.prepare(line, o)
	if err != nil {
		return err
	}
	output := c.Outfile
	if output == "" && c.Kubeconfig == "-" {
		output = "-"
	}
	report := io.Writer(os.Stdout)
	if output == "-" {
		report = os.Stderr
	}
	if output != "" && len(files) > 1 {
		return &token.UsageError{
			Text: fmt.Sprintf("--outfile takes one kubeconfig, and %d files in $KUBECONFIG exist", len(files)),
			Hint: "name one with --kubeconfig",
		}
	}
	var all []stanza.Conversion
	for i, f := range files {
		done, err := converter.Convert(f, files[:i])
		if err != nil {
			return err
		}
		all = append(all, done)
	}
	if !slices.ContainsFunc(all, func(d stanza.Conversion) bool { return d.Matched }) {
		return nothingConverted(report, all, files)
	}
	for _, warning := range stanza.Warnings(all) {
		printWarning(warning)
	}
	if output != "" {
		fmt.Fprint(report, all[0].Report)
		if c.DryRun {
			return nil
		}
		return writeOutput("--outfile", output, all[0].Content)
	}
	return c.replace(ctx, converter, files, all)
}

// replace writes the conversions over the files.
func (c *convertCommand) replace(
	ctx context.Context,
	converter *stanza.Converter,
	files kubeconfig.Files,
	all []stanza.Conversion,
) (err error) {
	changed := func(i int) bool { return !bytes.Equal(all[i].Content, files[i].Source()) }
	for i, f := range files {
		if changed(i) {
			if err := kubeconfig.CheckWritable(f.Path); err != nil {
				return err
			}
		}
	}
	for i, f := range files {
		if !c.DryRun {
			if all[i], err = converter.WriteFile(ctx, f, files[:i], all[i]); err != nil {
				return err
			}
		}
		fmt.Print(all[i].Report)
	}
	return nil
}

// prepare checks the flags and reads the kubeconfigs.
func (c *convertCommand) prepare(line *flags.CommandLine, o options) (*stanza.Converter, kubeconfig.Files, error) {
	if c.Command != "" && !stanza.IsPortableCommand(c.Command) {
		return nil, nil, stanza.PortableCommandError(c.Command)
	}
	for _, flag := range slices.Sorted(maps.Keys(line.Values())) {
		if err := checkVisible("--"+flag, line.Values()[flag]); err != nil {
			return nil, nil, err
		}
	}
	login, err := c.chooseLogin(line)
	if err != nil {
		return nil, nil, err
	}
	files, err := loadOrReadStdin(c.Kubeconfig)
	if err != nil {
		return nil, nil, err
	}
	user, err := files.ContextUser(c.Context)
	if missing := new(kubeconfig.NotFoundError); errors.As(err, &missing) {
		return nil, nil, &token.FailedError{Text: missing.Text, Hint: missing.Hint}
	}
	if err != nil {
		return nil, nil, err
	}
	return &stanza.Converter{Options: stanza.Options{
		Command:        c.Command,
		Context:        c.Context,
		AzureConfigDir: c.AzureConfigDir,
		DryRun:         c.DryRun,
		AsKubelogin:    strings.EqualFold(process.Name(), "kubelogin") && c.Context == "" && !c.Force,
		Flags:          line.Values(),
		Login:          login,
		User:           user,
		LockTimeout:    cmp.Or(o.kubeconfigLockTimeout, kubeconfigLockTimeout),
	}}, files, nil
}

// loadOrReadStdin returns the kubeconfigs that path leads to, as kubeconfig.Load does; "-" is
// standard input.
func loadOrReadStdin(path string) (kubeconfig.Files, error) {
	if path != "-" {
		return kubeconfig.Load(expandPath(path))
	}
	const name = "standard input"
	raw, err := kubeconfig.ReadLimited(name, os.Stdin)
	if err != nil {
		return nil, err
	}
	file, err := kubeconfig.Parse(name, raw)
	return kubeconfig.Files{file}, err
}

// chooseLogin returns the login method that --login or AAD_LOGIN_METHOD names, "" for neither.
func (c *convertCommand) chooseLogin(line *flags.CommandLine) (login string, err error) {
	r, err := c.ResolveStanza(line.Explicit, flags.EnvSubset("AAD_LOGIN_METHOD"))
	if err != nil {
		return "", err
	}
	if from := r.From["login"]; from == "--login" || strings.HasPrefix(from, "$") {
		if m, err := r.Check(); m.Name == "" {
			return "", err
		}
		login = r.Login
	}
	explicit := line.Values()
	if (explicit["pop-enabled"] == "true") != (explicit["pop-claims"] != "") {
		return "", stanza.ErrIncompletePoP
	}
	return login, r.CheckValues()
}

// nothingConverted writes why each user was skipped to report, and returns the error.
func nothingConverted(report io.Writer, all []stanza.Conversion, files kubeconfig.Files) error {
	var paths []string
	users := 0
	for i, done := range all {
		paths = append(paths, files[i].Path)
		users += strings.Count(done.Report, "\n")
		fmt.Fprint(report, done.Report)
	}
	switch {
	case len(files) == 0:
		missing := strings.Join(kubeconfig.Paths("", os.Getenv), ", ")
		if list := os.Getenv("KUBECONFIG"); list != "" {
			missing = list + " ($KUBECONFIG)"
		}
		return &token.FailedError{
			Text: "no kubeconfig was found: " + cmp.Or(missing, "~/.kube/config") +
				" does not exist",
			Hint: "name one with --kubeconfig",
		}
	case users == 0:
		return &token.FailedError{Text: "nothing was converted: no users in " + strings.Join(paths, ", ")}
	}
	return &token.FailedError{
		Text: "nothing was converted: every user was skipped in " + strings.Join(paths, ", "),
		Hint: "the lines above give the reason for each user",
	}
}
