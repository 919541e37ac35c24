package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/airflow"
	"github.com/akslogin/akslogin/internal/execcredential"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/internal/stanza"
	"github.com/akslogin/akslogin/token"
)

// execConfig is what a context's user and cluster say about the plugin.
type execConfig struct {
	args    []string
	env     []kubeconfig.EnvVar
	cluster map[string]any // fields of the cluster's entry; nil: no cluster is known

	clusterFlags flags.Values // what the cluster's config sets; nil if the plugin does not get it

	user   kubeconfig.User
	folder string // of the kubeconfig with the user
	method token.Method
}

// execConfigChecks look at an exec config that runs this program or kubelogin. A finding without a
// status is not reported.
var execConfigChecks = []func(execConfig) token.Finding{
	checkStaticCredential,
	checkCommand,
	checkAPIVersion,
	checkInteractiveMode,
	checkPluginPolicy,
}

// checkKubeconfig finds the context's exec config and checks what clients will make of it. If there
// is none, a finding says why.
func checkKubeconfig(o Options) (execConfig, []token.Finding) {
	const check = "kubeconfig"
	paths := strings.Join(kubeconfig.Paths(o.Kubeconfig, os.Getenv), ", ")
	files, err := kubeconfig.Load(o.Kubeconfig)
	switch {
	case err != nil:
		return execConfig{}, []token.Finding{token.ErrorFinding(check, err)}
	case len(files) == 0 && o.Context == "" && !o.Server:
		return execConfig{}, []token.Finding{{
			Status: token.StatusSkipped,
			Check:  check,
			Text:   "no kubeconfig exists at the paths that clients read: " + paths,
			Todo:   "name one with --kubeconfig",
		}}
	}
	entries, err := files.FindContext(o.Context, "in "+cmp.Or(paths, "any file"))
	if err != nil {
		found := token.ErrorFinding(check, err)
		if missing := new(kubeconfig.NotFoundError); errors.As(err, &missing) {
			found.Todo = missing.Hint
		}
		return execConfig{}, []token.Finding{found}
	}
	c := execConfig{user: entries.User}
	var all []token.Finding
	if c.cluster, err = kubeconfig.InlineCA(entries.Cluster.Fields, entries.ClusterFile.Path); err != nil {
		c.cluster, all = nil, append(all, token.ErrorFinding("cluster", err))
	}
	if found := checkCertificateCheck(c.cluster); found.Status != "" {
		all = append(all, found)
	}
	found := checkUser(entries)
	all = append(all, found)
	if found.Status != token.StatusOK {
		return c, all
	}
	c.folder = filepath.Dir(entries.UserFile.Path)
	return c.readArgs(all)
}

// readArgs reads the exec config's args and runs execConfigChecks. It adds what they find to all.
func (c execConfig) readArgs(all []token.Finding) (execConfig, []token.Finding) {
	args, err := stanza.ReadArgs(c.user.Exec)
	if err != nil {
		all = append(all, token.Finding{
			Status: token.StatusError,
			Check:  "args",
			Text:   "the exec config's args are not valid for get-token: " + err.Error(),
			Todo:   process.Name() + " kubeconfig writes valid args",
		})
	} else {
		c.args, _ = stanza.GetTokenArgs(c.user.Exec)
		c.env = slices.DeleteFunc(slices.Clone(c.user.Exec.Env), cannotBeSet)
	}
	c.method, _ = token.MethodByName(args["login"])
	for _, check := range execConfigChecks {
		if found := check(c); found.Status != "" {
			all = append(all, found)
		}
	}
	if found := c.readClusterConfig(); found.Status != "" {
		all = append(all, found)
	}
	for _, text := range airflow.Warnings(false, c.method, os.Getenv) {
		all = append(all, token.Finding{Status: token.StatusWarning, Check: "client", Text: text})
	}
	return c, all
}

// cannotBeSet reports whether the operating system refuses the variable.
func cannotBeSet(v kubeconfig.EnvVar) bool {
	return v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.Contains(v.Value, "\x00")
}

// checkUser reports whether the context's user runs this program or kubelogin.
func checkUser(entries kubeconfig.ContextEntries) token.Finding {
	found := token.Finding{Status: token.StatusOK, Check: "kubeconfig"}
	found.Text = fmt.Sprintf("context %q in %s, user %q", entries.Context, entries.ClusterFile.Path, entries.User.Name)
	e := entries.User.Exec
	switch {
	case entries.UserFile == nil:
		found.Status = token.StatusError
		found.Text = fmt.Sprintf("context %q in %s names a user that does not exist",
			entries.Context, entries.ClusterFile.Path)
		found.Todo = process.Name() + " kubeconfig writes a complete kubeconfig"
	case e == nil:
		found.Status = token.StatusWarning
		found.Text += ": it has no exec config, so clients run no plugin"
		found.Todo = strings.ReplaceAll("{program} kubeconfig writes one; {program} convert-kubeconfig converts one with the azure auth-provider", "{program}", process.Name())
	case !stanza.RunsThisProgram(e):
		found.Status = token.StatusWarning
		found.Text += ": it runs " + stanza.CommandName(e.Command) + ", not this program"
	}
	return found
}

// checkStaticCredential warns about a user with both a credential and an exec config: clients
// differ in which of the two they use.
func checkStaticCredential(c execConfig) token.Finding {
	for _, field := range c.user.OtherFields {
		switch field {
		case "token", "tokenFile", "client-certificate", "client-certificate-data", "username":
			return token.Finding{
				Status: token.StatusWarning,
				Check:  "user",
				Text: "the user has both " + field + " and an exec config: Python clients " +
					"prefer a token, kubectl sends both",
				Todo: "remove " + field + " from the user",
			}
		}
	}
	return token.Finding{}
}

// findCommand looks for the program as client-go does: a path with a separator is relative to the
// kubeconfig's folder, a name is looked up on the PATH. shown is the command as doctor may print
// it: whole if there is such a program, else without what may be a secret in it.
func (c execConfig) findCommand() (path, shown string, err error) {
	command := c.user.Exec.Command
	path = command
	if strings.ContainsAny(path, `/\`) && !filepath.IsAbs(path) {
		path = filepath.Join(c.folder, path)
	}
	if path, err = exec.LookPath(path); err != nil {
		err = errors.Unwrap(err) // without the path, twice
		if at := new(fs.PathError); errors.As(err, &at) {
			err = at.Err
		}
		return "", stanza.ShownCommand(command), err
	}
	return path, command, nil
}

// checkCommand reports whether clients find the program.
func checkCommand(c execConfig) token.Finding {
	found := token.Finding{Status: token.StatusOK, Check: "command"}
	path, command, err := c.findCommand()
	if err != nil {
		found.Status = token.StatusError
		found.Text = fmt.Sprintf("%q is not a program that can be run here: %v", command, err)
		found.Todo = "install it there, or on the client's PATH, which may differ from this " +
			"shell's; " +
			"this program is " + executablePath()
		if command != c.user.Exec.Command {
			found.Todo = "command must be only a program's name or path: move what follows it to args"
		}
		return found
	}
	found.Text = fmt.Sprintf("%q is %s", command, path)
	if _, plugin := stanza.GetTokenArgs(c.user.Exec); plugin != "" {
		if path, err = exec.LookPath(plugin); err != nil {
			found.Status = token.StatusError
			found.Text += ", which finds no plugin " + plugin
			found.Todo = "install " + plugin + " on the client's PATH; this program is " + executablePath()
			return found
		}
		found.Text += ", which runs " + path
	}
	switch {
	case !stanza.IsPortableCommand(command):
		found.Status = token.StatusWarning
		found.Todo = "make it an absolute path or a name on the PATH: kubectl resolves a " +
			"relative path against the kubeconfig's folder, " +
			"other clients against their working directory"
	case !sameFile(path, executablePath()):
		found.Status = token.StatusWarning
		found.Text += ", not the program that runs here, " + executablePath()
		found.Todo = "these checks show what this program would do; compare the output of both with --version"
	}
	return found
}

func executablePath() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

func checkAPIVersion(c execConfig) token.Finding {
	version := c.user.Exec.APIVersion
	if execcredential.IsSupported(version) {
		return token.Finding{Status: token.StatusOK, Check: "apiVersion", Text: version}
	}
	return token.Finding{
		Status: token.StatusError,
		Check:  "apiVersion",
		Text: fmt.Sprintf("the exec config has apiVersion %q, which current clients do not "+
			"support", version),
		Todo: process.Name() + " convert-kubeconfig changes it to " +
			"client.authentication.k8s.io/v1",
	}
}

// checkInteractiveMode checks that the mode is set, which clients require in v1, and that it fits
// the login method.
// https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
func checkInteractiveMode(c execConfig) token.Finding {
	mode := c.user.Exec.InteractiveMode
	found := token.Finding{Status: token.StatusOK, Check: "interactiveMode", Text: cmp.Or(mode, "not given")}
	switch {
	case mode == "" && strings.HasSuffix(c.user.Exec.APIVersion, "/v1"):
		found.Status = token.StatusError
		found.Todo = "kubectl refuses an exec config of v1 without it: " + process.Name() + " convert-kubeconfig adds it"
	case !slices.Contains([]string{"", "Never", "IfAvailable", "Always"}, mode):
		found.Status = token.StatusError
		found.Todo = "it must be Never, IfAvailable or Always"
	case mode == "Always" && !c.method.Interactive:
		found.Status = token.StatusWarning
		found.Todo = "clients without a terminal refuse to run the plugin: set it to Never, " +
			"because this login never prompts"
	case mode == "Never" && c.method.Interactive:
		found.Status = token.StatusWarning
		found.Todo = "login " + c.method.Name + " then cannot ask a person to sign in: set it to " +
			"IfAvailable"
	}
	return found
}
