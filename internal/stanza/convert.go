package stanza

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
)

// azureAuthProvider logged in to AKS before Kubernetes 1.26 removed it.
const azureAuthProvider = "azure"

// azureCLI is the login method to which az converts users by itself.
const azureCLI = "azurecli"

// authProviderFlags maps settings of the azure auth-provider to flags.
var authProviderFlags = map[string]string{
	"client-id":    "client-id",
	"tenant-id":    "tenant-id",
	"apiserver-id": "server-id",
	"environment":  "environment",
}

// Options say how to convert.
type Options struct {
	Command        string       // the new command; "": a command that is ours stays, others become this one
	Context        string       // the context that User belongs to; "": convert all users
	User           string       // the only user to convert; "": all
	Login          string       // the new login method; "": each exec config keeps its own
	Flags          flags.Values // flags that override the existing ones
	AzureConfigDir string       // for azurecli: the value of AZURE_CONFIG_DIR; "": none
	DryRun         bool         // report differences and write nothing

	// AsKubelogin is for a conversion that az may have started: the program is called as kubelogin,
	// and for all users. Only users with kubelogin or the azure auth-provider are then converted.
	// Users whose login method needs no person are not converted to azurecli.
	AsKubelogin bool

	LockTimeout time.Duration // how long to wait for another program that writes the file
}

// Converter converts the users of kubeconfigs.
type Converter struct{ Options }

// Conversion is the result for one file.
type Conversion struct {
	Content []byte // the converted file
	Matched bool   // a user was converted, or is already as wanted
	Report  string // a line for each user; with DryRun the differences too

	warnings []string
}

// Convert converts a file's users in memory. Users in earlier files shadow users of the same name
// here. Either all users can be converted or the error names the first that cannot.
func (c *Converter) Convert(file *kubeconfig.File, earlier kubeconfig.Files) (done Conversion, err error) {
	seen := map[string]bool{}
	for _, f := range earlier {
		for _, u := range f.Users {
			seen[u.Name] = true
		}
	}
	execs := map[string]kubeconfig.Exec{}
	var report strings.Builder
	for _, u := range file.Users {
		where := fmt.Sprintf("%s: user %q: ", file.Path, u.Name)
		skip, kept := c.skipReason(u), c.keptLogin(u)
		switch {
		case c.User != "" && u.Name != c.User:
			skip = fmt.Sprintf("it is not the user of context %q", c.Context)
		case seen[u.Name]:
			skip = "another user of this name comes first"
		}
		seen[u.Name] = true
		switch {
		case skip != "":
			report.WriteString(token.Clean(where+"skipped: "+skip) + "\n")
			continue
		case kept != "":
			done.Matched = true
			report.WriteString(token.Clean(where+"kept: login "+kept+" needs no person; use "+
				"--context or --force to convert it") + "\n")
			continue
		}
		want, err := c.target(u)
		if err != nil {
			return done, errorAt(where, err)
		}
		execs[u.Name] = want.exec
		done.warnings = append(done.warnings, UnusedFlagWarnings(want.method, c.Flags)...)
		report.WriteString(c.reportLine(where, u, want))
	}
	done.Matched = done.Matched || len(execs) > 0
	done.Report = report.String()
	done.Content, err = file.WithExecs(execs)
	return done, err
}

// WriteFile writes a conversion to the file. If another program has changed the file since it was
// read, WriteFile reads and converts it again, and returns that conversion. It gives up if ctx ends
// or after LockTimeout.
func (c *Converter) WriteFile(
	ctx context.Context, file *kubeconfig.File, earlier kubeconfig.Files, done Conversion,
) (Conversion, error) {
	ctx, cancel := context.WithTimeout(ctx, c.LockTimeout)
	defer cancel()
	for !bytes.Equal(done.Content, file.Source()) {
		err := kubeconfig.Replace(ctx, file.Path, file.Source(), done.Content)
		if !errors.Is(err, kubeconfig.ErrChanged) || ctx.Err() != nil {
			return done, err
		}
		files, err := kubeconfig.Load(file.Path)
		if err != nil {
			return done, err
		}
		file = files[0]
		if done, err = c.Convert(file, earlier); err != nil {
			return done, err
		}
	}
	return done, nil
}

func errorAt(where string, err error) error {
	failed := &token.FailedError{Text: where + err.Error()}
	var usage *token.UsageError
	if errors.As(err, &usage) {
		failed.Hint = cmp.Or(usage.Hint, nameOneUserHint)
	}
	return failed
}

const nameOneUserHint = "give the flag, or choose the user to convert with --context; nothing " +
	"was changed"

// skipReason returns why the user's login is not one that this program replaces, "" if it is.
func (c *Converter) skipReason(u kubeconfig.User) string {
	switch {
	case u.AuthProvider != nil && u.AuthProvider.Name == azureAuthProvider:
		return ""
	case u.AuthProvider != nil:
		return "it logs in with the auth-provider " + u.AuthProvider.Name
	case u.Exec == nil && len(u.OtherFields) > 0:
		return "it logs in with " + strings.Join(u.OtherFields, ", ")
	case u.Exec == nil:
		return "it has no login"
	}
	program, _ := programOf(u.Exec)
	switch {
	case !isOurCommand(program) && program != c.Command:
		return "it runs " + CommandName(program)
	case c.AsKubelogin && !isKubelogin(program):
		return "it runs " + CommandName(program) + "; use --context or --force to convert it"
	}
	if _, err := ReadArgs(u.Exec); err != nil {
		return "its args are not valid for get-token: " + err.Error()
	}
	return ""
}

// keptLogin returns the user's login method if AsKubelogin keeps it, else "".
func (c *Converter) keptLogin(u kubeconfig.User) string {
	if !c.AsKubelogin || c.Login != azureCLI || u.Exec == nil || u.AuthProvider != nil {
		return ""
	}
	existing, err := currentFlags(u)
	m, known := token.MethodByName(existing["login"])
	if err != nil || !known || m.Interactive || m.Name == azureCLI {
		return ""
	}
	return m.Name
}

// currentFlags returns the flags that the user's login amounts to today.
func currentFlags(u kubeconfig.User) (flags.Values, error) {
	if u.AuthProvider != nil && u.AuthProvider.Name == azureAuthProvider {
		values := flags.Values{}
		for name, flag := range authProviderFlags {
			if value := u.AuthProvider.Config[name]; value != "" {
				values[flag] = value
			}
		}
		if mode := u.AuthProvider.Config["config-mode"]; mode == "" || mode == "0" {
			values["legacy"] = "true"
		}
		return values, nil
	}
	values, err := ReadArgs(u.Exec)
	if err != nil || values["disable-environment-override"] != "" {
		return values, err
	}
	for _, variable := range u.Exec.Env {
		if variable.Name == "AAD_LOGIN_METHOD" && variable.Value != "" {
			values["login"] = variable.Value
		}
	}
	return values, nil
}

// target is what a user is converted to.
type target struct {
	exec   kubeconfig.Exec
	method token.Method // the zero value if get-token chooses it where it runs
	notes  []string     // what the report adds
}

// target returns what the user is converted to.
func (c *Converter) target(u kubeconfig.User) (target, error) {
	existing, err := currentFlags(u)
	if err != nil {
		return target{}, err
	}
	want := kubeconfig.Exec{}
	if u.Exec != nil {
		want = *u.Exec
	}
	program, prefix := programOf(&want)
	if existing["login"] == "" && u.AuthProvider == nil && isAkslogin(program) {
		if c.Login == "" && len(c.Flags) == 0 && (c.Command == "" || isAkslogin(c.Command)) {
			if c.Command != "" {
				want.Command, want.Args = c.Command, want.Args[len(prefix):]
			}
			return target{exec: withDefaults(token.Method{}, want)}, nil
		}
		existing["login"] = token.DefaultPodMethod
	}
	m, known := token.MethodByName(cmp.Or(c.Login, existing["login"], token.FallbackMethod))
	if !known {
		return target{}, &token.UsageError{
			Text: "its login method does not exist",
			Hint: strings.Replace(nameOneUserHint, "the flag", "--login", 1),
		}
	}
	if name := m.Stanza.ConfigDirVariable; name != "" && c.AzureConfigDir != "" {
		isOld := func(v kubeconfig.EnvVar) bool { return v.Name == name }
		dir := kubeconfig.EnvVar{Name: name, Value: cache.ExpandPath(c.AzureConfigDir)}
		want.Env = append(slices.DeleteFunc(slices.Clone(want.Env), isOld), dir)
	}
	kept := existing
	notes := []string{LegacyNote(m, existing, c.Flags)}
	if m.Name == azureCLI && kept["tenant-id"] != "" && c.Flags["tenant-id"] == "" &&
		token.AzureCLIRefusesTenant(getenvOf(want.Env)) {
		kept = maps.Clone(existing)
		delete(kept, "tenant-id")
		notes = append(notes, "--tenant-id is not written: a managed identity is signed in to "+
			"az, and az accepts no tenant for one")
	}
	args, err := BuildArgs(m, kept, c.Flags)
	if err != nil {
		return target{}, err
	}
	// Arguments that say the same stay as written, with their order and comments.
	if u.Exec != nil && u.AuthProvider == nil && setsFlags(args, existing) {
		args = want.Args[len(prefix):]
	}
	if c.Command != "" || !isThisProgram(program) {
		want.Command, prefix = cmp.Or(c.Command, process.Name()), nil
	}
	want.Args = slices.Concat(prefix, args)
	isEmpty := func(note string) bool { return note == "" }
	return target{withDefaults(m, want), m, slices.DeleteFunc(notes, isEmpty)}, nil
}

// getenvOf returns a function that reads a variable as a program with env in its exec config does.
func getenvOf(env []kubeconfig.EnvVar) func(string) string {
	return func(variable string) string {
		for _, v := range slices.Backward(env) {
			if v.Name == variable {
				return v.Value
			}
		}
		return envvar.Get(variable)
	}
}

// setsFlags reports whether args set exactly these flags. Args that cannot be read back do not.
func setsFlags(args []string, values flags.Values) bool {
	read, err := ReadArgs(&kubeconfig.Exec{Args: args})
	return err == nil && maps.Equal(read, values)
}

// UnusedFlagWarnings returns a warning for each explicit flag that is not written for the method:
// the method does not use it, or uses another one instead. The warnings are sorted by flag.
func UnusedFlagWarnings(m token.Method, explicit flags.Values) (warnings []string) {
	for _, flag := range slices.Sorted(maps.Keys(explicit)) {
		pair := m.Stanza.Exclusive
		notWritten := "--" + flag + " is not written: login " + m.Name
		switch {
		case flag == "login":
		case !methodReads(m, flag):
			warnings = append(warnings, notWritten+" does not use it")
		case len(pair) == 2 && flag == pair[1] && explicit[pair[0]] != "":
			warnings = append(warnings, notWritten+" uses --"+pair[0]+" instead")
		}
	}
	return warnings
}

// Warnings returns the [UnusedFlagWarnings] of all conversions, sorted and once each.
func Warnings(all []Conversion) (warnings []string) {
	for _, done := range all {
		warnings = append(warnings, done.warnings...)
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}

// reportLine says what became of the user, with the difference if this is a dry run.
func (c *Converter) reportLine(where string, u kubeconfig.User, t target) string {
	want := t.exec
	login := "login " + cmp.Or(t.method.Name, "chosen where it runs")
	if t.method.Interactive && want.InteractiveMode == "Never" {
		login += ", which needs a person, and its interactiveMode is Never: set that to IfAvailable"
	}
	for _, variable := range want.Env {
		if flags.OverridesFlag(variable.Name) && !slices.Contains(want.Args, "--disable-environment-override") {
			login += ", but " + variable.Name + " in its env overrides its arguments: remove one " +
				"of them"
		}
	}
	for _, note := range t.notes {
		login += ", and " + note
	}
	switch {
	case u.HasExec(want):
		return token.Clean(where+"needs no change, "+login) + "\n"
	case !c.DryRun:
		return token.Clean(where+"converted, "+login) + "\n"
	}
	before, after := formatLogin(u.AuthProvider, u.Exec), formatLogin(nil, &want)
	lines := diff.Diff("now", []byte(before), "converted", []byte(after))
	_, lines, _ = bytes.Cut(lines, []byte("@@\n")) // without the header, which names two files
	return token.Clean(where+"would be converted, "+login) + "\n" + string(lines)
}
