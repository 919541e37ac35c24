package main

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
	"unicode"
	"unicode/utf8"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/kube"
	"github.com/akslogin/akslogin/token"
)

// kubeconfigCommand writes a whole kubeconfig for one cluster, or an Airflow connection that holds one.
type kubeconfigCommand struct {
	clusterFlags
	token.Request
	cacheFlags
	logFlags

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
func (c *kubeconfigCommand) Run(line *commandLine, w world, log *slog.Logger) error {
	f, err := c.outputForm()
	if err != nil {
		return err
	}
	method, err := c.method(line)
	if err != nil {
		return err
	}
	from, err := c.source(line, w, log)
	if err != nil {
		return err
	}
	d := kube.Document{Name: cmp.Or(c.Name, from.name), Cluster: from.cluster, Namespace: cmp.Or(c.Namespace, from.namespace)}
	if d.Exec, err = c.exec(line, method, from); err != nil {
		return err
	}
	content, err := f.write(d, c.ConnectionID)
	if err != nil {
		return err
	}
	for _, text := range warnings(f.airflow, method, os.Getenv) {
		warn(text)
	}
	return c.deliver(append(bytes.TrimSuffix(content, []byte("\n")), '\n'))
}

// form is a way to write a kubeconfig.
type form struct {
	name    string
	airflow bool // it is a connection
	write   func(d kube.Document, connectionID string) ([]byte, error)
}

var forms = []form{
	{"yaml", false, func(d kube.Document, _ string) ([]byte, error) { return d.YAML() }},
	{"json", false, func(d kube.Document, _ string) ([]byte, error) { return indented(d.JSON()) }},
	{"airflow-connection", true, func(d kube.Document, _ string) ([]byte, error) { return airflowConnection(d) }},
	{variableForm, true, airflowVariable},
	{"airflow-uri", true, func(d kube.Document, _ string) ([]byte, error) { return airflowURI(d) }},
}

const variableForm = "airflow-env"

func indented(raw []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Indent(&out, raw, "", "  ")
	return out.Bytes(), err
}

// resolvable tells whether a command means the same program to all clients. To them a relative path is one in the kubeconfig's folder, in
// a temporary folder, or in the folder where the client was started.
func resolvable(command string) bool {
	drive := len(command) > 1 && command[1] == ':'
	return !strings.ContainsAny(command, `/\`) || strings.HasPrefix(command, "/") || strings.HasPrefix(command, `\`) || drive
}

func badCommand(command string) error {
	return &token.UsageError{
		Text: fmt.Sprintf("--command is %q, a path that every client resolves in its own way", command),
		Hint: "give an absolute path, or a name that is on the PATH there",
	}
}

// form refuses flags of the kubeconfig that have no meaning, alone or together, and fills in those that are missing.
func (c *kubeconfigCommand) outputForm() (form, error) {
	c.Command, c.Output = cmp.Or(c.Command, "akslogin"), cmp.Or(c.Output, "yaml")
	i := slices.IndexFunc(forms, func(f form) bool { return f.name == c.Output })
	if i < 0 {
		var names []string
		for _, f := range forms {
			names = append(names, f.name)
		}
		return form{}, &token.UsageError{Text: fmt.Sprintf("--output is %q: it can be %s", c.Output, strings.Join(names, ", "))}
	}
	if !resolvable(c.Command) {
		return form{}, badCommand(c.Command)
	}
	for _, wrong := range []struct {
		is         bool
		text, hint string
	}{
		{c.ConnectionID != "" && c.Output != variableForm, "--connection-id goes with --output " + variableForm, "in the other forms a connection's ID stands elsewhere"},
		{strings.ContainsFunc(c.ConnectionID, notInVariable), fmt.Sprintf("--connection-id is %q, which makes no name for a variable", c.ConnectionID), "it can have letters, digits and _"},
	} {
		if wrong.is {
			return form{}, &token.UsageError{Text: wrong.text, Hint: wrong.hint}
		}
	}
	c.ConnectionID = cmp.Or(c.ConnectionID, "az_aks")
	return forms[i], nil
}

func notInVariable(c rune) bool {
	return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// method is the login method that the kubeconfig will name.
func (c *kubeconfigCommand) method(line *commandLine) (token.Method, error) {
	r := c.Request
	r.Login = cmp.Or(r.Login, "workloadidentity")
	given := func(flag string) bool { return flag == "login" || line.typed(flag) }
	r, err := r.Resolve(given, only("AAD_LOGIN_METHOD"))
	if err != nil {
		return token.Method{}, err
	}
	m, err := r.Check()
	if m.Name == "" {
		return m, err
	}
	return m, nil // what else is missing may stand in the kubeconfig that there is
}

// only is an environment of some variables, by the ends of their names.
func only(ends ...string) func(string) string {
	return func(variable string) string {
		if slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(variable, end) }) {
			return os.Getenv(variable)
		}
		return ""
	}
}

// exec is the stanza. Who logs in is written down even where that comes from the environment, because the variables may name another
// where the kubeconfig is used: on Astro they are the platform's own.
func (c *kubeconfigCommand) exec(line *commandLine, m token.Method, from clusterSource) (kube.Exec, error) {
	typed := line.given()
	// What the old user says of the same identity goes on, whatever its login was; az writes these two for everybody.
	for flag, everybody := range map[string]string{"tenant-id": "", "client-id": token.PublicClient, "environment": token.Environments()[0]} {
		if old := from.args[flag]; typed[flag] == "" && !strings.EqualFold(old, everybody) {
			typed[flag] = old
		}
	}
	args, err := stanza(m, from.args, typed)
	if err != nil {
		return kube.Exec{}, err
	}
	r, err := asGetToken(args)
	if err == nil {
		err = r.CheckStanza()
	}
	if err != nil {
		return kube.Exec{}, err
	}
	for _, id := range []struct{ flag, value string }{{"client-id", r.ClientID}, {"tenant-id", r.TenantID}} {
		if from := r.From[id.flag]; strings.HasPrefix(from, "$") && slices.Contains(m.Needs, id.flag) {
			typed[id.flag] = id.value
			warn(fmt.Sprintf("--%s %s is from %s, which may be the platform's own, as on Astro: give the flag if the cluster knows another", id.flag, id.value, from))
		}
	}
	if args, err = stanza(m, from.args, typed); err != nil {
		return kube.Exec{}, err
	}
	e := newStanza(m, c.Command, args)
	e.Env = from.env
	return e, nil
}

// asGetToken resolves args as get-token will, with what this environment says of identities.
func asGetToken(args []string) (token.Request, error) {
	line, get, err := parseGetToken(append(args, "--disable-environment-override"))
	if err != nil {
		return token.Request{}, err
	}
	return get.Resolve(line.typed, only("_CLIENT_ID", "_TENANT_ID"))
}

// unseen tells of characters that show other text than a program reads. Those below U+0020 are escaped in JSON and YAML.
func unseen(c rune) bool {
	return unicode.IsControl(c) && c != '\n' || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp)
}

// deliver writes to the file that was named, or to standard output. A file that holds more than this kubeconfig stays as it is.
func (c *kubeconfigCommand) deliver(content []byte) error {
	if !utf8.Valid(content) || bytes.ContainsFunc(content, unseen) {
		return &token.UsageError{Text: "what would be written has characters in it that cannot be seen, or that turn text round", Hint: "look at the values that were given, and at the names in the kubeconfig that they come from"}
	}
	if c.OutputFile == "" {
		_, err := os.Stdout.Write(content)
		return err
	}
	file := cache.Absolute(c.OutputFile)
	old, err := kube.Read(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--output-file: %w", err)
	}
	if more := lost(file, old, content); more != "" {
		return &token.UsageError{Text: fmt.Sprintf("--output-file %s holds %s, which would be lost", c.OutputFile, more), Hint: "name another file, or remove this one; KUBECONFIG can name several"}
	}
	return kube.WriteFile(file, content)
}

// lost tells what an old content has that a new one has not: another name, another variable, or what is neither a kubeconfig nor a connection.
func lost(file string, old, content []byte) string {
	if variable, _, found := bytes.Cut(content, []byte("='")); found {
		for line := range bytes.Lines(old) {
			if len(bytes.TrimSpace(line)) > 0 && !bytes.HasPrefix(line, append(variable, '=')) {
				return "other lines than " + string(variable)
			}
		}
		return ""
	}
	if prefix := []byte(airflowScheme); len(bytes.TrimSpace(old)) == 0 || bytes.HasPrefix(content, prefix) && bytes.HasPrefix(old, prefix) {
		return ""
	}
	before, err := kube.Parse(file, old)
	if err != nil || len(names(before)) == 0 && !bytes.HasPrefix(old, []byte(`{"conn_type"`)) {
		return "something else"
	}
	after, err := kube.Parse(file, content)
	if err != nil {
		return "a kubeconfig"
	}
	here := names(after)
	for _, name := range names(before) {
		if !slices.Contains(here, name) {
			return fmt.Sprintf("%q", name)
		}
	}
	return ""
}

// names are those of a kubeconfig's contexts, clusters and users.
func names(k *kube.Kubeconfig) (all []string) {
	for _, c := range k.Contexts {
		all = append(all, c.Name)
	}
	for _, c := range k.Clusters {
		all = append(all, c.Name)
	}
	for _, u := range k.Users {
		all = append(all, u.Name)
	}
	return all
}
