package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/airflow"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/internal/stanza"
	"github.com/akslogin/akslogin/token"
)

// kubeconfigCommand writes a whole kubeconfig for one cluster, or an Airflow connection that holds
// one.
type kubeconfigCommand struct {
	clusterFlags
	token.Request
	flags.Cache
	flags.Log

	Name         string   `name:"name" group:"kubeconfig" help:"Name of cluster, context and user; by default the context's, the resource's or else the server's."`
	Namespace    string   `name:"namespace" short:"n" group:"kubeconfig" help:"Namespace of the context; by default the existing context's, or none."`
	Command      string   `name:"command" group:"kubeconfig" placeholder:"PROGRAM" otherwise:"{program}" help:"How this program is called where the kubeconfig is used: a name on the PATH there, or an absolute path."`
	Env          []string `name:"env" sep:"none" group:"kubeconfig" placeholder:"NAME=VALUE" help:"Environment variable that only this program gets, such as HTTPS_PROXY. It is written to the exec config's env. The flag may be repeated."`
	Output       string   `name:"output" short:"o" group:"kubeconfig" placeholder:"FORMAT" otherwise:"yaml" help:"What to write: one of the formats that --help lists."`
	ConnectionID string   `name:"connection-id" group:"kubeconfig" placeholder:"ID" otherwise:"az_aks" help:"The connection's ID in airflow-env."`
	OutputFile   string   `name:"output-file" group:"kubeconfig" placeholder:"FILE" help:"Write to this file, for its owner only, instead of standard output."`
}

// Help is the text of kubeconfig --help before the flags.
func (*kubeconfigCommand) Help() string {
	help := "The cluster is given in one of three ways: by --server, by --kubeconfig and --context, or by --resource-id. " +
		"get-token flags on this command line become arguments in the kubeconfig. " +
		"So do the client ID and the tenant ID, even if they come from a variable. " +
		"Nothing else is taken from the environment, and never a secret.\n\nOutput formats:\n\n"
	for _, f := range outputFormats {
		help += fmt.Sprintf("    %s\n      %s\n", f.name, f.about)
	}
	return help
}

// Run checks all flags before it asks or reads anything, and writes only a complete result.
func (c *kubeconfigCommand) Run(line *flags.CommandLine, o options, log *slog.Logger) error {
	format, err := c.chooseFormat()
	if err != nil {
		return err
	}
	method, err := c.loginMethod(line)
	if err != nil {
		return err
	}
	source, err := c.resolveCluster(line, o, log)
	if err != nil {
		return err
	}
	document := kubeconfig.Document{
		Name:      cmp.Or(c.Name, source.name),
		Cluster:   source.cluster,
		Namespace: cmp.Or(c.Namespace, source.namespace),
	}
	if document.Exec, err = c.execConfig(line, method, source); err != nil {
		return err
	}
	if err := checkDocument(document); err != nil {
		return err
	}
	content, err := format.encode(document, c.ConnectionID)
	if err != nil {
		return err
	}
	for _, text := range airflow.Warnings(format.connection, method, os.Getenv) {
		printWarning(text)
	}
	return writeOutput("--output-file", c.OutputFile, append(bytes.TrimSuffix(content, []byte("\n")), '\n'))
}

// chooseFormat refuses flags that have no meaning, alone or together, and sets defaults.
func (c *kubeconfigCommand) chooseFormat() (outputFormat, error) {
	c.Command, c.Output = cmp.Or(c.Command, process.Name()), cmp.Or(c.Output, "yaml")
	i := slices.IndexFunc(outputFormats, func(f outputFormat) bool { return f.name == c.Output })
	if i < 0 {
		var names []string
		for _, f := range outputFormats {
			names = append(names, f.name)
		}
		return outputFormat{}, &token.UsageError{
			Text: fmt.Sprintf("--output is %q: it can be %s", c.Output, strings.Join(names, ", ")),
		}
	}
	repeated := repeatedVariable(c.Env)
	switch {
	case !stanza.IsPortableCommand(c.Command):
		return outputFormat{}, stanza.PortableCommandError(c.Command)
	case slices.ContainsFunc(c.Env, isNoVariable):
		return outputFormat{}, &token.UsageError{
			Text: "--env needs NAME=VALUE, with a name of letters, digits and _",
			Hint: "as in --env HTTPS_PROXY=http://proxy.example:3128",
		}
	case repeated != "":
		return outputFormat{}, &token.UsageError{
			Text: "--env gives the variable " + repeated + " twice",
			Hint: "leave one of them out",
		}
	case c.ConnectionID != "" && !outputFormats[i].takesID:
		return outputFormat{}, &token.UsageError{
			Text: "--connection-id is valid only with --output airflow-env",
			Hint: "the other formats do not contain the connection's ID",
		}
	case strings.ContainsFunc(c.ConnectionID, isInvalidVariableChar):
		return outputFormat{}, &token.UsageError{
			Text: fmt.Sprintf("--connection-id is %q, which is not valid in the name of a variable", c.ConnectionID),
			Hint: "it can have letters, digits and _",
		}
	}
	c.ConnectionID = cmp.Or(c.ConnectionID, "az_aks")
	return outputFormats[i], nil
}

func isInvalidVariableChar(c rune) bool {
	return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// loginMethod returns the login method that the kubeconfig will name.
func (c *kubeconfigCommand) loginMethod(line *flags.CommandLine) (token.Method, error) {
	r := c.Request
	r.Login = cmp.Or(r.Login, token.DefaultPodMethod)
	explicit := func(flag string) bool { return flag == "login" || line.Explicit(flag) }
	r, err := r.ResolveStanza(explicit, flags.EnvSubset("AAD_LOGIN_METHOD"))
	if err != nil {
		return token.Method{}, err
	}
	m, err := r.Check()
	if m.Name == "" {
		return m, err
	}
	return m, nil // An existing kubeconfig may have the flags that Check misses.
}

// execConfig returns the exec config of the new user. It writes the client and tenant IDs even if
// they come from the environment: where the kubeconfig is used, the variables may name another
// identity. On Astro they name the platform's own.
func (c *kubeconfigCommand) execConfig(line *flags.CommandLine, m token.Method, source clusterSource) (kubeconfig.Exec, error) {
	values := line.Values()
	for _, warning := range stanza.UnusedFlagWarnings(m, values) {
		printWarning(warning)
	}
	// The existing user's tenant, client and cloud stay, whatever its login method was, unless they
	// are the values that az writes for everybody.
	for flag, fromAz := range map[string]string{
		"tenant-id":   "",
		"client-id":   token.PublicClientID,
		"environment": token.EnvironmentNames()[0],
	} {
		if existing := source.args[flag]; values[flag] == "" && !strings.EqualFold(existing, fromAz) {
			values[flag] = existing
		}
	}
	if note := stanza.LegacyNote(m, source.args, values); note != "" {
		printWarning(note)
	}
	args, err := stanza.BuildArgs(m, source.args, values)
	if err != nil {
		return kubeconfig.Exec{}, err
	}
	var fromCluster flags.Values
	if source.config.PassedOn {
		fromCluster = source.config.Flags
	}
	r, err := flags.ResolveArgs(args, fromCluster)
	if err == nil {
		err = r.CheckStanza()
	}
	if err != nil {
		return kubeconfig.Exec{}, err
	}
	for flag, value := range map[string]string{
		"client-id": r.ClientID, "tenant-id": r.TenantID, "via-client-id": r.ViaClientID,
	} {
		from := r.From[flag]
		if !strings.HasPrefix(from, "$") || !slices.Contains(m.Required, flag) {
			continue
		}
		values[flag] = value
		printWarning(fmt.Sprintf("--%s %s is from %s, which may be the platform's own, as on Astro: "+
			"give the flag if the cluster knows another", flag, value, from))
	}
	if args, err = stanza.BuildArgs(m, source.args, values); err != nil {
		return kubeconfig.Exec{}, err
	}
	e := stanza.NewExec(m, c.Command, args)
	e.Env = mergeEnv(source.env, c.Env)
	e.ProvideClusterInfo = &source.config.PassedOn
	return e, nil
}

// isNoVariable reports whether a value of --env is not NAME=VALUE.
func isNoVariable(pair string) bool {
	name, _, found := strings.Cut(pair, "=")
	return !found || name == "" || strings.ContainsFunc(name, isInvalidVariableChar)
}

// repeatedVariable returns the first name that NAME=VALUE pairs give twice, "" if there is none.
func repeatedVariable(pairs []string) string {
	seen := map[string]bool{}
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if seen[name] {
			return name
		}
		seen[name] = true
	}
	return ""
}

// mergeEnv returns the variables, overridden by those of --env. It warns about variables that
// override the arguments, and about secrets.
func mergeEnv(env []kubeconfig.EnvVar, given []string) []kubeconfig.EnvVar {
	for _, pair := range given {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case flags.IsSecretVariable(name):
			printWarning(name + " in --env is a secret, and everybody who can read the kubeconfig can read it")
		case flags.OverridesFlag(name):
			printWarning(name + " in --env overrides the arguments")
		}
		env = slices.DeleteFunc(slices.Clone(env), func(v kubeconfig.EnvVar) bool { return v.Name == name })
		env = append(env, kubeconfig.EnvVar{Name: name, Value: value})
	}
	return env
}
