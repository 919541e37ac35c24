package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/airflow"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
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

	Name         string `name:"name" group:"kubeconfig" help:"Name of cluster, context and user; by default the context's, the resource's or else the server's."`
	Namespace    string `name:"namespace" short:"n" group:"kubeconfig" help:"Namespace of the context; by default the existing context's, or none."`
	Command      string `name:"command" group:"kubeconfig" placeholder:"PROGRAM" otherwise:"akslogin" help:"How this program is called where the kubeconfig is used: a name on the PATH there, or an absolute path."`
	Output       string `name:"output" short:"o" group:"kubeconfig" placeholder:"FORM" otherwise:"yaml" help:"What to write: a kubeconfig as yaml or json; or with it an Airflow connection: airflow-connection (for --conn-json), airflow-env (a variable), airflow-uri."`
	ConnectionID string `name:"connection-id" group:"kubeconfig" placeholder:"ID" otherwise:"az_aks" help:"The connection's ID in airflow-env."`
	OutputFile   string `name:"output-file" group:"kubeconfig" placeholder:"FILE" help:"Write to this file, for its owner only, and not to standard output."`
}

// Help is what kubeconfig --help says before the flags.
func (*kubeconfigCommand) Help() string {
	return "The cluster is given in one of three ways: by --server, by --kubeconfig and --context, or by --resource-id. The flags of get-token that are given become its arguments in the " +
		"kubeconfig. Client ID and tenant ID always do, even where they come from a variable; nothing else is taken from the environment, and no secret."
}

// Run says what is wrong before it asks or reads anything, and writes nothing before all is well.
func (c *kubeconfigCommand) Run(line *flags.CommandLine, w options, log *slog.Logger) error {
	f, err := c.chooseFormat()
	if err != nil {
		return err
	}
	method, err := c.loginMethod(line)
	if err != nil {
		return err
	}
	from, err := c.resolveCluster(line, w, log)
	if err != nil {
		return err
	}
	d := kubeconfig.Document{
		Name:      cmp.Or(c.Name, from.name),
		Cluster:   from.cluster,
		Namespace: cmp.Or(c.Namespace, from.namespace),
	}
	if d.Exec, err = c.execConfig(line, method, from); err != nil {
		return err
	}
	content, err := f.encode(d, c.ConnectionID)
	if err != nil {
		return err
	}
	for _, text := range airflow.Warnings(f.airflow, method, os.Getenv) {
		printWarning(text)
	}
	return c.writeOutput(append(bytes.TrimSuffix(content, []byte("\n")), '\n'))
}

// outputFormat is a way to write a kubeconfig.
type outputFormat struct {
	name    string
	airflow bool // it is a connection
	encode  func(d kubeconfig.Document, connectionID string) ([]byte, error)
}

var outputFormats = []outputFormat{
	{"yaml", false, func(d kubeconfig.Document, _ string) ([]byte, error) { return d.YAML() }},
	{
		"json",
		false,
		func(d kubeconfig.Document, _ string) ([]byte, error) { return indentJSON(d.JSON()) },
	},
	{
		"airflow-connection",
		true,
		func(d kubeconfig.Document, _ string) ([]byte, error) { return airflow.ConnectionJSON(d) },
	},
	{airflowEnvFormat, true, airflow.ConnectionEnv},
	{
		"airflow-uri",
		true,
		func(d kubeconfig.Document, _ string) ([]byte, error) { return airflow.ConnectionURI(d) },
	},
}

const airflowEnvFormat = "airflow-env"

func indentJSON(raw []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Indent(&out, raw, "", "  ")
	return out.Bytes(), err
}

// form refuses flags of the kubeconfig that have no meaning, alone or together, and fills in those
// that are missing.
func (c *kubeconfigCommand) chooseFormat() (outputFormat, error) {
	c.Command, c.Output = cmp.Or(c.Command, "akslogin"), cmp.Or(c.Output, "yaml")
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
	if !stanza.IsPortableCommand(c.Command) {
		return outputFormat{}, stanza.PortableCommandError(c.Command)
	}
	for _, wrong := range []struct {
		is         bool
		text, hint string
	}{
		{c.ConnectionID != "" && c.Output != airflowEnvFormat, "--connection-id goes with --output " + airflowEnvFormat, "in the other forms a connection's ID stands elsewhere"},
		{strings.ContainsFunc(c.ConnectionID, isInvalidVariableChar), fmt.Sprintf("--connection-id is %q, which makes no name for a variable", c.ConnectionID), "it can have letters, digits and _"},
	} {
		if wrong.is {
			return outputFormat{}, &token.UsageError{Text: wrong.text, Hint: wrong.hint}
		}
	}
	c.ConnectionID = cmp.Or(c.ConnectionID, "az_aks")
	return outputFormats[i], nil
}

func isInvalidVariableChar(c rune) bool {
	return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// loginMethod is the login method that the kubeconfig will name.
func (c *kubeconfigCommand) loginMethod(line *flags.CommandLine) (token.Method, error) {
	r := c.Request
	r.Login = cmp.Or(r.Login, token.DefaultPodMethod)
	given := func(flag string) bool { return flag == "login" || line.Explicit(flag) }
	r, err := r.Resolve(given, flags.EnvSubset("AAD_LOGIN_METHOD"))
	if err != nil {
		return token.Method{}, err
	}
	m, err := r.Check()
	if m.Name == "" {
		return m, err
	}
	return m, nil // what else is missing may stand in the kubeconfig that there is
}

// execConfig is the stanza. Who logs in is written down even where that comes from the environment,
// because the variables may name another where the kubeconfig is used: on Astro they are the
// platform's own.
func (c *kubeconfigCommand) execConfig(
	line *flags.CommandLine,
	m token.Method,
	from clusterSource,
) (kubeconfig.Exec, error) {
	typed := line.Values()
	// What the old user says of the same identity goes on, whatever its login was; az writes these
	// two for everybody.
	for flag, everybody := range map[string]string{"tenant-id": "", "client-id": token.PublicClientID, "environment": token.EnvironmentNames()[0]} {
		if old := from.args[flag]; typed[flag] == "" && !strings.EqualFold(old, everybody) {
			typed[flag] = old
		}
	}
	args, err := stanza.BuildArgs(m, from.args, typed)
	if err != nil {
		return kubeconfig.Exec{}, err
	}
	r, err := flags.ResolveArgs(args)
	if err == nil {
		err = r.CheckStanza()
	}
	if err != nil {
		return kubeconfig.Exec{}, err
	}
	for _, id := range []struct{ flag, value string }{{"client-id", r.ClientID}, {"tenant-id", r.TenantID}} {
		if from := r.From[id.flag]; strings.HasPrefix(from, "$") &&
			slices.Contains(m.Required, id.flag) {
			typed[id.flag] = id.value
			printWarning(
				fmt.Sprintf(
					"--%s %s is from %s, which may be the platform's own, as on Astro: give the flag if the cluster knows another",
					id.flag,
					id.value,
					from,
				),
			)
		}
	}
	if args, err = stanza.BuildArgs(m, from.args, typed); err != nil {
		return kubeconfig.Exec{}, err
	}
	e := stanza.NewExec(m, c.Command, args)
	e.Env = from.env
	return e, nil
}

// writeOutput writes to the file that was named, or to standard output. A file that holds more than
// this kubeconfig stays as it is.
func (c *kubeconfigCommand) writeOutput(content []byte) error {
	if !utf8.Valid(content) || bytes.ContainsFunc(content, isInvisible) {
		return &token.UsageError{
			Text: "what would be written has characters in it that cannot be seen, or that turn text round",
			Hint: "look at the values that were given, and at the names in the kubeconfig that they come from",
		}
	}
	if c.OutputFile == "" {
		_, err := os.Stdout.Write(content)
		return err
	}
	file := cache.ExpandPath(c.OutputFile)
	old, err := kubeconfig.Read(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--output-file: %w", err)
	}
	if more := overwrites(file, old, content); more != "" {
		return &token.UsageError{
			Text: fmt.Sprintf("--output-file %s holds %s, which would be lost", c.OutputFile, more),
			Hint: "name another file, or remove this one; KUBECONFIG can name several",
		}
	}
	return kubeconfig.WriteFile(file, content)
}
