package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/kube"
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
	cacheFlags
	logFlags
}

// Help is what convert-kubeconfig --help says before the flags.
func (*convertCommand) Help() string {
	return "Users that run kubelogin or akslogin, or log in with the azure auth-provider, are converted; all else in the file stays as it is, byte for byte. " +
		"Without --login a stanza keeps its login method. Flags of get-token that are given become arguments of the stanza; of variables only AAD_LOGIN_METHOD is read."
}

// lockPatience is how long another program may take to write a kubeconfig.
const lockPatience = 10 * time.Second

// Run converts all or nothing: a user that cannot be converted is found before the first file is written.
func (c *convertCommand) Run(line *commandLine, w world) error {
	if c.Command != "" && !resolvable(c.Command) {
		return badCommand(c.Command)
	}
	v := converter{convertOptions{
		command: c.Command, context: c.Context, azureConfigDir: c.AzureConfigDir, dryRun: c.DryRun,
		given: line.given(), patience: cmp.Or(w.lockPatience, lockPatience),
	}}
	var err error
	if v.login, err = c.chooseLogin(line); err != nil {
		return err
	}
	named := ""
	if c.Kubeconfig != "" {
		named = cache.Absolute(c.Kubeconfig)
	}
	files, err := readKubeconfigs(named)
	if err != nil {
		return err
	}
	if v.user, err = files.userOf(c.Context); err != nil {
		var missing *lookupError
		if errors.As(err, &missing) {
			return &token.FailedError{Text: missing.text, Hint: missing.hint}
		}
		return err
	}
	var all []conversion
	for i, f := range files {
		done, err := v.convert(f, files[:i])
		if err != nil {
			return err
		}
		all = append(all, done)
	}
	if !slices.ContainsFunc(all, func(d conversion) bool { return d.matched }) {
		return nothingConverted(all, files)
	}
	for i, f := range files {
		if !bytes.Equal(all[i].content, f.Source()) {
			if err := kube.Writable(f.Path); err != nil {
				return err
			}
		}
	}
	for _, flag := range unreadFlags(all) {
		warn("not written, since it has no meaning there: " + flag)
	}
	for i, f := range files {
		if !c.DryRun && !bytes.Equal(all[i].content, f.Source()) {
			if all[i], err = v.write(f, files[:i]); err != nil {
				return err
			}
		}
		fmt.Print(all[i].report)
	}
	return nil
}

// convertOptions say what a conversion is to do.
type convertOptions struct {
	command        string // "": as it is, or akslogin
	context        string // whose user is converted; "": all are
	azureConfigDir string
	dryRun         bool
	given          given
	login          string // "": each stanza keeps its own
	user           string // the context's; "": all

	patience time.Duration // for another program that writes the file
}

// converter converts the users of kubeconfigs.
type converter struct{ convertOptions }

// chooseLogin takes the method from flag or variable; "" where neither says one.
func (c *convertCommand) chooseLogin(line *commandLine) (login string, err error) {
	r, err := c.Resolve(line.typed, only("AAD_LOGIN_METHOD"))
	if err != nil {
		return "", err
	}
	if from := r.From["login"]; from == "--login" || strings.HasPrefix(from, "$") {
		if m, err := r.Check(); m.Name == "" {
			return "", err
		}
		login = r.Login
	}
	given := line.given()
	if (given["pop-enabled"] == "true") != (given["pop-claims"] != "") {
		return "", &token.UsageError{Text: "--pop-enabled and --pop-claims go together, and only one of them is given"}
	}
	return login, r.CheckValues()
}

// userOf is the name of a context's user; "" for no context.
func (files kubeconfigs) userOf(context string) (string, error) {
	if context == "" {
		return "", nil
	}
	at, in := entry(files, func(k *kube.Kubeconfig) []kube.Context { return k.Contexts }, func(c kube.Context) bool { return c.Name == context })
	switch {
	case in == nil:
		return "", &lookupError{fmt.Sprintf("there is no context %q", context), "there are: " + files.contexts()}
	case at.User == "":
		return "", fmt.Errorf("context %q names no user", context)
	}
	return at.User, nil
}

// conversion is what became of one file.
type conversion struct {
	content []byte
	matched bool   // a user was converted, or runs this program as wanted already
	report  string // a line for each user, or the difference
	unread  []string
}

// convert converts a file's users in memory. The files before it are those whose users hide this one's of the same name.
func (v *converter) convert(k *kube.Kubeconfig, before kubeconfigs) (conversion, error) {
	done := conversion{content: k.Source()}
	seen := map[string]bool{}
	for _, f := range before {
		for _, u := range f.Users {
			seen[u.Name] = true
		}
	}
	for _, u := range k.Users {
		where := fmt.Sprintf("%s: user %q: ", k.Path, u.Name)
		skip := v.skipped(u)
		switch {
		case v.user != "" && u.Name != v.user:
			skip = fmt.Sprintf("it is not the user of context %q", v.context)
		case seen[u.Name]:
			skip = "another user of this name comes first"
		}
		seen[u.Name] = true
		if skip != "" {
			done.report += token.Clean(where+"skipped: "+skip) + "\n"
			continue
		}
		want, method, err := v.wanted(u)
		if err != nil {
			return done, failedAt(where, err)
		}
		now, err := kube.Parse(k.Path, done.content)
		if err != nil {
			return done, err
		}
		content, err := now.WithExec(u.Name, want)
		if err != nil {
			return done, err
		}
		done.matched = true
		done.unread = append(done.unread, v.unread(method)...)
		done.report += v.report(where, u, want, method, !slices.Equal(content, done.content))
		done.content = content
	}
	return done, nil
}

func failedAt(where string, err error) error {
	failed := &token.FailedError{Text: where + err.Error()}
	var usage *token.UsageError
	if errors.As(err, &usage) {
		failed.Hint = cmp.Or(usage.Hint, "give the flag, or name with --context the one user that is meant; nothing was changed")
	}
	return failed
}

// skipped says why a user is not one for this program; "" where it is.
func (v *converter) skipped(u kube.User) string {
	switch {
	case u.AuthProvider != nil && u.AuthProvider.Name == azureProvider:
		return ""
	case u.AuthProvider != nil:
		return "it logs in with the auth-provider " + u.AuthProvider.Name
	case u.Exec == nil && len(u.Others) > 0:
		return "it logs in with " + strings.Join(u.Others, ", ")
	case u.Exec == nil:
		return "it has no login"
	case !runsOurs(u.Exec.Command) && u.Exec.Command != v.command:
		return "it runs " + program(u.Exec.Command)
	}
	if _, err := readStanza(u.Exec); err != nil {
		return "its args are not get-token's: " + err.Error()
	}
	return ""
}

// azureProvider is what wrote tokens into kubeconfigs before Kubernetes 1.26 removed it.
const azureProvider = "azure"

// azureConfigDir is where az looks for its folder.
const azureConfigDir = "AZURE_CONFIG_DIR"

// program is what may be shown of a command: its name, and not what somebody wrote behind it.
func program(command string) string {
	name, more, _ := strings.Cut(command[strings.LastIndexAny(command, `/\`)+1:], " ")
	if more != "" {
		name += " ..."
	}
	return name
}

// runsOurs tells whether a command is this program or kubelogin, under any path and suffix.
func runsOurs(command string) bool {
	command = strings.ToLower(command)
	return strings.Contains(command, "kubelogin") || strings.Contains(command, "akslogin")
}

// providerFlags are the names that flags have in an auth-provider's config.
var providerFlags = map[string]string{"client-id": "client-id", "tenant-id": "tenant-id", "apiserver-id": "server-id", "environment": "environment"}

// before are the flags that a user's login amounts to.
func before(u kube.User) (given, error) {
	if u.AuthProvider == nil || u.AuthProvider.Name != azureProvider {
		flags, err := readStanza(u.Exec)
		for _, variable := range u.Exec.Env {
			if err == nil && variable.Name == "AAD_LOGIN_METHOD" && variable.Value != "" && flags["disable-environment-override"] == "" {
				flags["login"] = variable.Value
			}
		}
		return flags, err
	}
	flags := given{}
	for name, flag := range providerFlags {
		if value := u.AuthProvider.Config[name]; value != "" {
			flags[flag] = value
		}
	}
	if mode := u.AuthProvider.Config["config-mode"]; mode == "" || mode == "0" {
		flags["legacy"] = "true"
	}
	return flags, nil
}

// wanted is the stanza that a user gets, and the login method in it.
func (v *converter) wanted(u kube.User) (kube.Exec, token.Method, error) {
	flags, err := before(u)
	if err != nil {
		return kube.Exec{}, token.Method{}, err
	}
	if flags["login"] == "" && u.Exec != nil && u.AuthProvider == nil && strings.Contains(strings.ToLower(u.Exec.Command), "akslogin") {
		if v.login == "" && len(v.given) == 0 { // it chooses where it runs
			return completed(token.Method{}, *u.Exec), token.Method{Name: "chosen where it runs"}, nil
		}
		flags["login"] = "workloadidentity"
	}
	login := cmp.Or(v.login, flags["login"], "devicecode") // kubelogin's default
	i := slices.IndexFunc(token.Methods, func(m token.Method) bool { return m.Name == login })
	if i < 0 {
		return kube.Exec{}, token.Method{}, &token.UsageError{Text: "its login method does not exist", Hint: "give --login, or name with --context the one user that is meant; nothing was changed"}
	}
	m := token.Methods[i]
	want := kube.Exec{}
	if u.Exec != nil {
		want = *u.Exec
	}
	args, err := stanza(m, flags, v.given)
	if err != nil {
		return want, m, err
	}
	// Arguments that say the same stay as they are written, with their order and their comments.
	if same := (&kube.Exec{Args: args}); u.Exec == nil || u.AuthProvider != nil || !maps.Equal(flags, must(readStanza(same))) {
		want.Args = args
	}
	if v.command != "" || !strings.Contains(strings.ToLower(want.Command), "akslogin") {
		want.Command = cmp.Or(v.command, "akslogin")
	}
	if v.azureConfigDir != "" && m.Name == "azurecli" {
		others := slices.DeleteFunc(slices.Clone(want.Env), func(e kube.EnvVar) bool { return e.Name == azureConfigDir })
		want.Env = append(others, kube.EnvVar{Name: azureConfigDir, Value: cache.Absolute(v.azureConfigDir)})
	}
	return completed(m, want), m, nil
}

// must returns what args of our own making say.
func must(g given, err error) given {
	if err != nil {
		return nil
	}
	return g
}

// unread are the flags that were typed and mean nothing to a method.
func (v *converter) unread(m token.Method) []string {
	var flags []string
	for flag := range v.given {
		if flag != "login" && !reads(m, flag) {
			flags = append(flags, "--"+flag+" for login "+m.Name)
		}
	}
	return flags
}

// unreadFlags are all flags that mean nothing to a method that was written, once each.
func unreadFlags(all []conversion) []string {
	var unread []string
	for _, done := range all {
		unread = append(unread, done.unread...)
	}
	slices.Sort(unread)
	return slices.Compact(unread)
}

// write converts a file under kubectl's lock, from what it holds by then.
func (v *converter) write(k *kube.Kubeconfig, before kubeconfigs) (done conversion, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), v.patience)
	defer cancel()
	err = kube.Update(ctx, k.Path, func(old []byte) ([]byte, error) {
		now, err := kube.Parse(k.Path, old)
		if err != nil {
			return nil, err
		}
		done, err = v.convert(now, before)
		return done.content, err
	})
	return done, err
}

// report is a line on a user, with the difference if that is what was asked for.
func (v *converter) report(where string, u kube.User, want kube.Exec, m token.Method, changed bool) string {
	login := "login " + m.Name
	if m.Asks && want.InteractiveMode == "Never" {
		login += ", which needs a person, and its interactiveMode is Never: set that to IfAvailable"
	}
	for _, variable := range want.Env {
		if overrides(variable.Name) && !slices.Contains(want.Args, "--disable-environment-override") {
			login += ", but " + variable.Name + " in its env wins over its arguments: remove one of them"
		}
	}
	switch {
	case !changed:
		return token.Clean(where+"is as wanted, "+login) + "\n"
	case !v.dryRun:
		return token.Clean(where+"converted, "+login) + "\n"
	}
	lines := diff.Diff("now", []byte(shown(u.AuthProvider, u.Exec)), "converted", []byte(shown(nil, &want)))
	_, lines, _ = bytes.Cut(lines, []byte("@@\n")) // the names of two files that are none
	return token.Clean(where+"would be converted, "+login) + "\n" + string(lines)
}

// shown is a login for people: what may be a secret is left out.
func shown(p *kube.AuthProvider, e *kube.Exec) string {
	var text strings.Builder
	say := func(name, value string) {
		if value != "" {
			text.WriteString(token.Clean(name+": "+value) + "\n")
		}
	}
	if p != nil {
		say("auth-provider", p.Name)
		for _, name := range slices.Sorted(maps.Keys(p.Config)) {
			if providerFlags[name] == "" && name != "config-mode" {
				say("  "+name, hidden)
				continue
			}
			say("  "+name, p.Config[name])
		}
	}
	if e == nil {
		return text.String()
	}
	say("apiVersion", e.APIVersion)
	say("command", e.Command[:strings.LastIndexAny(e.Command, `/\\`)+1]+program(e.Command))
	for flag := range masked(e.Args) {
		say("arg", flag)
	}
	for _, variable := range e.Env {
		value := hidden
		if variable.Name == azureConfigDir {
			value = variable.Value
		}
		say("env "+variable.Name, value)
	}
	say("installHint", e.InstallHint)
	say("interactiveMode", e.InteractiveMode)
	if e.ProvideClusterInfo != nil {
		say("provideClusterInfo", fmt.Sprint(*e.ProvideClusterInfo))
	}
	return text.String()
}

// masked yields args, a flag and its value together. Values of secret flags are left out, and all that is no flag: it may be anything.
func masked(args []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(args); i++ {
			name, value, attached := strings.Cut(args[i], "=")
			field := pluginFlag(strings.TrimPrefix(name, "--"))
			text := hidden
			switch {
			case args[i] == "get-token", field != nil && !attached && field.Type.Kind() == reflect.Bool:
				text = args[i]
			case field != nil:
				if !attached && len(args) > i+1 {
					i++
					value = args[i]
				}
				if field.Tag.Get("secret") != "" {
					value = hidden
				}
				text = name + " " + value
			}
			if !yield(text) {
				return
			}
		}
	}
}

const hidden = "(not shown)"

// nothingConverted says why.
func nothingConverted(all []conversion, files kubeconfigs) error {
	var report, paths []string
	for i, done := range all {
		paths = append(paths, files[i].Path)
		report = append(report, strings.Split(strings.TrimSpace(done.report), "\n")...)
	}
	report = slices.DeleteFunc(report, func(line string) bool { return line == "" })
	for _, line := range report {
		fmt.Println(line)
	}
	switch {
	case len(files) == 0:
		return &token.FailedError{Text: "there is no kubeconfig: none of the files that $KUBECONFIG or ~/.kube/config name is there", Hint: "name one with --kubeconfig"}
	case len(report) == 0:
		return &token.FailedError{Text: "nothing was converted: no users in " + strings.Join(paths, ", ")}
	}
	return &token.FailedError{
		Text: "nothing was converted: no user runs kubelogin or akslogin, or has the azure auth-provider, in " + strings.Join(paths, ", "),
		Hint: "standard output says of each user why",
	}
}

// readKubeconfigs reads the file that is named, or those that count where none is.
func readKubeconfigs(named string) (kubeconfigs, error) {
	var files kubeconfigs
	for _, path := range kube.Files(named, os.Getenv) {
		raw, err := kube.Read(path)
		if errors.Is(err, fs.ErrNotExist) && named == "" { // clients pass over them too
			continue
		}
		if err != nil {
			return nil, err
		}
		k, err := kube.Parse(path, raw)
		if err != nil {
			return nil, err
		}
		files = append(files, k)
	}
	return files, nil
}
