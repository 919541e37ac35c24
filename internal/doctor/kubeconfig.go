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

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/airflow"
	"github.com/akslogin/akslogin/internal/execcredential"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/stanza"
	"github.com/akslogin/akslogin/token"
	"go.yaml.in/yaml/v3"
)

// checkExecConfig finds the exec stanza of the context, and says how clients will take it. What
// cannot be found is a finding, and then there is none.
func checkExecConfig(o Options) (target, []token.Finding) {
	const check = "kubeconfig"
	named := ""
	if o.Kubeconfig != "" {
		named = cache.ExpandPath(o.Kubeconfig)
	}
	paths := strings.Join(kubeconfig.Paths(named, os.Getenv), ", ")
	files, err := kubeconfig.Load(named)
	switch {
	case err != nil:
		return target{}, []token.Finding{token.ErrorFinding(check, err)}
	case len(files) == 0 && o.Context == "" && !o.Server:
		return target{}, []token.Finding{
			{
				Status: token.StatusSkipped,
				Check:  check,
				Text:   "none of the files that clients read is there: " + paths,
				Todo:   "name one with --kubeconfig",
			},
		}
	}
	at, err := files.FindContext(o.Context, "in "+cmp.Or(paths, "any file"))
	if err != nil {
		found := token.ErrorFinding(check, err)
		if missing := new(kubeconfig.NotFoundError); errors.As(err, &missing) {
			found.Todo = missing.Hint
		}
		return target{}, []token.Finding{found}
	}
	var s target
	var all []token.Finding
	if s.cluster, err = kubeconfig.InlineCA(at.Cluster.Fields, at.ClusterFile.Path); err != nil {
		s.cluster, all = nil, append(all, token.ErrorFinding("cluster", err))
	}
	found := token.Finding{
		Status: token.StatusOK,
		Check:  check,
		Text: fmt.Sprintf(
			"context %q in %s, user %q",
			at.Context,
			at.ClusterFile.Path,
			at.User.Name,
		),
	}
	e := at.User.Exec
	switch {
	case at.UserFile == nil:
		found.Status, found.Text, found.Todo = token.StatusWrong, fmt.Sprintf(
			"context %q in %s names a user that is not there",
			at.Context,
			at.ClusterFile.Path,
		), "akslogin kubeconfig writes a whole one"
		return s, append(all, found)
	case e == nil:
		found.Status, found.Text = token.StatusWarning, found.Text+": it has no exec stanza, so clients run no plugin"
		found.Todo = "akslogin kubeconfig writes one; akslogin convert-kubeconfig converts one with the azure auth-provider"
		return s, append(all, found)
	case !stanza.IsOurCommand(e.Command):
		found.Status, found.Text = token.StatusWarning, found.Text+": it runs "+stanza.CommandName(
			e.Command,
		)+", and not this program"
		return s, append(all, found)
	}
	all = append(all, found)
	flags, err := stanza.ReadArgs(e)
	if err != nil {
		all = append(
			all,
			token.Finding{
				Status: token.StatusWrong,
				Check:  "args",
				Text:   "the stanza's args are not get-token's: " + err.Error(),
				Todo:   "akslogin kubeconfig writes args as they have to be",
			},
		)
	} else {
		s.args, s.env = e.Args, slices.DeleteFunc(
			slices.Clone(e.Env),
			func(v kubeconfig.EnvVar) bool {
				return v.Name == "" || strings.ContainsAny(v.Name, "=\x00") ||
					strings.Contains(v.Value, "\x00")
			},
		)
	}
	method, _ := token.MethodByName(flags["login"])
	for _, look := range []func() token.Finding{
		func() token.Finding { return checkStaticCredential(at.User) },
		func() token.Finding { return checkCommand(e.Command, filepath.Dir(at.UserFile.Path)) },
		func() token.Finding { return checkAPIVersion(e) },
		func() token.Finding { return checkInteractiveMode(e, method) },
		func() token.Finding { return checkAllowlist(e.Command) },
	} {
		if f := look(); f.Status != "" {
			all = append(all, f)
		}
	}
	for _, text := range airflow.Warnings(false, method, os.Getenv) {
		all = append(all, token.Finding{Status: token.StatusWarning, Check: "client", Text: text})
	}
	return s, all
}

// checkStaticCredential tells of a credential beside the stanza: clients differ about which one
// they take.
func checkStaticCredential(u kubeconfig.User) token.Finding {
	for _, field := range u.OtherFields {
		if slices.Contains(
			[]string{
				"token",
				"tokenFile",
				"client-certificate",
				"client-certificate-data",
				"username",
			},
			field,
		) {
			return token.Finding{
				Status: token.StatusWarning,
				Check:  "user",
				Text:   "the user has " + field + " beside the exec stanza: Python clients take a token first, kubectl sends both",
				Todo:   "remove " + field + " from the user",
			}
		}
	}
	return token.Finding{}
}

// checkCommand looks for the program as client-go does: a path with a separator counts from the
// kubeconfig's folder, a name is looked for on the PATH.
func checkCommand(name, folder string) token.Finding {
	found := token.Finding{Status: token.StatusOK, Check: "command"}
	path := name
	if strings.ContainsAny(name, `/\`) && !filepath.IsAbs(name) {
		path = filepath.Join(folder, name)
	}
	path, err := exec.LookPath(path)
	if err != nil {
		found.Status, found.Text = token.StatusWrong, fmt.Sprintf(
			"%q is not a program that can be run here: %v",
			name,
			errors.Unwrap(err),
		)
		found.Todo = "install it there, or on the client's PATH, which may be another than this shell's; this program is " + executablePath()
		return found
	}
	found.Text = fmt.Sprintf("%q is %s", name, path)
	if !stanza.IsPortableCommand(name) {
		found.Status, found.Todo = token.StatusWarning, "make it an absolute path or a name on the PATH: kubectl takes a relative one from the kubeconfig's folder, other clients from where they were started"
	} else if !sameProgram(path, executablePath()) {
		found.Status, found.Text = token.StatusWarning, found.Text+", and not the program that runs here, "+executablePath()
		found.Todo = "what is said here of the login is what this program would do: compare the output of both with --version"
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

func sameProgram(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

func checkAPIVersion(e *kubeconfig.Exec) token.Finding {
	found := token.Finding{Status: token.StatusOK, Check: "apiVersion", Text: e.APIVersion}
	if _, err := execcredential.ParseInfo(
		fmt.Sprintf(`{"apiVersion":%q}`, e.APIVersion),
	); err != nil ||
		e.APIVersion == "" {
		found.Status, found.Text = token.StatusWrong, fmt.Sprintf(
			"clients ask for apiVersion %q, which is no version of today",
			e.APIVersion,
		)
		found.Todo = "akslogin convert-kubeconfig makes it client.authentication.k8s.io/v1"
	}
	return found
}

// checkInteractiveMode knows that clients of v1 refuse a stanza without one.
// https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
func checkInteractiveMode(e *kubeconfig.Exec, m token.Method) token.Finding {
	found := token.Finding{
		Status: token.StatusOK,
		Check:  "interactiveMode",
		Text:   cmp.Or(e.InteractiveMode, "not given"),
	}
	switch {
	case e.InteractiveMode == "" && strings.HasSuffix(e.APIVersion, "/v1"):
		found.Status, found.Todo = token.StatusWrong, "kubectl refuses a stanza of v1 without it: akslogin convert-kubeconfig adds it"
	case !slices.Contains([]string{"", "Never", "IfAvailable", "Always"}, e.InteractiveMode):
		found.Status, found.Todo = token.StatusWrong, "it can be Never, IfAvailable or Always"
	case e.InteractiveMode == "Always" && !m.Interactive:
		found.Status, found.Todo = token.StatusWarning, "clients without a terminal refuse to run the plugin: make it Never, since nobody is asked"
	case e.InteractiveMode == "Never" && m.Interactive:
		found.Status, found.Todo = token.StatusWarning, "login "+m.Name+" can then never ask: make it IfAvailable"
	}
	return found
}

// checkAllowlist looks at kubectl's own preferences, which can forbid plugins since 1.35.
// https://kubernetes.io/docs/reference/kubectl/kuberc/#credential-plugin-policy
func checkAllowlist(command string) token.Finding {
	found := token.Finding{Status: token.StatusOK, Check: "kuberc"}
	entry := "credentialPluginAllowlist: [{name: " + command + "}]"
	path := os.Getenv("KUBERC")
	if home, err := os.UserHomeDir(); path == "" && err == nil {
		path = filepath.Join(home, ".kube", "kuberc")
	}
	if path == "off" || os.Getenv("KUBECTL_KUBERC") == "false" || path == "" {
		found.Text = "it is switched off, so kubectl runs any plugin"
		return found
	}
	raw, err := kubeconfig.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		found.Text = "there is none, so kubectl runs any plugin; an allow-list would need " + entry
		return found
	}
	var rc struct {
		Policy string `yaml:"credentialPluginPolicy"`
		List   []struct {
			Name    string `yaml:"name"`
			Command string `yaml:"command"`
		} `yaml:"credentialPluginAllowlist"`
	}
	if err == nil {
		err = yaml.Unmarshal(raw, &rc)
	}
	if err != nil {
		found.Status, found.Text = token.StatusWarning, path+" cannot be read as YAML, which kubectl will say too"
		return found
	}
	listed := false
	for _, e := range rc.List {
		one, _ := exec.LookPath(
			cmp.Or(e.Command, e.Name),
		) // what is not found is "", and matches nothing
		other, _ := exec.LookPath(command)
		listed = listed || cmp.Or(e.Command, e.Name) == command || one != "" && one == other
	}
	found.Text = path + ": " + cmp.Or(rc.Policy, "no policy, so kubectl runs any plugin")
	switch {
	case rc.Policy == "DenyAll":
		found.Status, found.Todo = token.StatusWrong, "kubectl runs no plugin: make it credentialPluginPolicy: Allowlist with "+entry
	case rc.Policy == "Allowlist" && !listed:
		found.Status, found.Todo = token.StatusWrong, "kubectl does not run this plugin: add it, "+entry
	case rc.Policy == "Allowlist":
		found.Text += " has " + command
	}
	return found
}
