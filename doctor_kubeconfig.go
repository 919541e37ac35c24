package main

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

	"go.yaml.in/yaml/v3"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/kube"
	"github.com/akslogin/akslogin/token"
)

// findStanza finds the exec stanza of the context, and says how clients will take it. What cannot be found is a finding, and then there is none.
func findStanza(o doctorOptions) (examined, []token.Finding) {
	const check = "kubeconfig"
	named := ""
	if o.kubeconfig != "" {
		named = cache.Absolute(o.kubeconfig)
	}
	paths := strings.Join(kube.Files(named, os.Getenv), ", ")
	files, err := readKubeconfigs(named)
	switch {
	case err != nil:
		return examined{}, []token.Finding{explained(check, err)}
	case len(files) == 0 && o.context == "" && !o.server:
		return examined{}, []token.Finding{{Status: token.Skipped, Check: check, Text: "none of the files that clients read is there: " + paths, Todo: "name one with --kubeconfig"}}
	}
	at, err := files.at(o.context, "in "+cmp.Or(paths, "any file"))
	if err != nil {
		found := explained(check, err)
		if missing := new(lookupError); errors.As(err, &missing) {
			found.Todo = missing.hint
		}
		return examined{}, []token.Finding{found}
	}
	var s examined
	var all []token.Finding
	if s.cluster, err = withCA(at.cluster.Fields, at.in.Path); err != nil {
		s.cluster, all = nil, append(all, explained("cluster", err))
	}
	found := token.Finding{Status: token.OK, Check: check, Text: fmt.Sprintf("context %q in %s, user %q", at.context, at.in.Path, at.user.Name)}
	e := at.user.Exec
	switch {
	case at.userIn == nil:
		found.Status, found.Text, found.Todo = token.Wrong, fmt.Sprintf("context %q in %s names a user that is not there", at.context, at.in.Path), "akslogin kubeconfig writes a whole one"
		return s, append(all, found)
	case e == nil:
		found.Status, found.Text = token.Warning, found.Text+": it has no exec stanza, so clients run no plugin"
		found.Todo = "akslogin kubeconfig writes one; akslogin convert-kubeconfig converts one with the azure auth-provider"
		return s, append(all, found)
	case !runsOurs(e.Command):
		found.Status, found.Text = token.Warning, found.Text+": it runs "+program(e.Command)+", and not this program"
		return s, append(all, found)
	}
	all = append(all, found)
	flags, err := readStanza(e)
	if err != nil {
		all = append(all, token.Finding{Status: token.Wrong, Check: "args", Text: "the stanza's args are not get-token's: " + err.Error(), Todo: "akslogin kubeconfig writes args as they have to be"})
	} else {
		s.args, s.env = e.Args, slices.DeleteFunc(slices.Clone(e.Env), func(v kube.EnvVar) bool {
			return v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.Contains(v.Value, "\x00")
		})
	}
	method := methodOf(flags)
	for _, look := range []func() token.Finding{
		func() token.Finding { return staticCredential(at.user) },
		func() token.Finding { return command(e.Command, filepath.Dir(at.userIn.Path)) },
		func() token.Finding { return apiVersion(e) },
		func() token.Finding { return interactiveMode(e, method) },
		func() token.Finding { return allowList(e.Command) },
	} {
		if f := look(); f.Status != "" {
			all = append(all, f)
		}
	}
	for _, text := range warnings(false, method, os.Getenv) {
		all = append(all, token.Finding{Status: token.Warning, Check: "client", Text: text})
	}
	return s, all
}

func methodOf(flags given) token.Method {
	i := slices.IndexFunc(token.Methods, func(m token.Method) bool { return m.Name == flags["login"] })
	if i < 0 {
		return token.Method{}
	}
	return token.Methods[i]
}

// staticCredential tells of a credential beside the stanza: clients differ about which one they take.
func staticCredential(u kube.User) token.Finding {
	for _, field := range u.Others {
		if slices.Contains([]string{"token", "tokenFile", "client-certificate", "client-certificate-data", "username"}, field) {
			return token.Finding{Status: token.Warning, Check: "user", Text: "the user has " + field + " beside the exec stanza: Python clients take a token first, kubectl sends both",
				Todo: "remove " + field + " from the user"}
		}
	}
	return token.Finding{}
}

// command looks for the program as client-go does: a path with a separator counts from the kubeconfig's folder, a name is looked for on the PATH.
func command(name, folder string) token.Finding {
	found := token.Finding{Status: token.OK, Check: "command"}
	path := name
	if strings.ContainsAny(name, `/\`) && !filepath.IsAbs(name) {
		path = filepath.Join(folder, name)
	}
	path, err := exec.LookPath(path)
	if err != nil {
		found.Status, found.Text = token.Wrong, fmt.Sprintf("%q is not a program that can be run here: %v", name, errors.Unwrap(err))
		found.Todo = "install it there, or on the client's PATH, which may be another than this shell's; this program is " + self()
		return found
	}
	found.Text = fmt.Sprintf("%q is %s", name, path)
	if !resolvable(name) {
		found.Status, found.Todo = token.Warning, "make it an absolute path or a name on the PATH: kubectl takes a relative one from the kubeconfig's folder, other clients from where they were started"
	} else if !sameProgram(path, self()) {
		found.Status, found.Text = token.Warning, found.Text+", and not the program that runs here, "+self()
		found.Todo = "what is said here of the login is what this program would do: compare the output of both with --version"
	}
	return found
}

func self() string {
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

func apiVersion(e *kube.Exec) token.Finding {
	found := token.Finding{Status: token.OK, Check: "apiVersion", Text: e.APIVersion}
	if _, err := kube.ReadExecInfo(fmt.Sprintf(`{"apiVersion":%q}`, e.APIVersion)); err != nil || e.APIVersion == "" {
		found.Status, found.Text = token.Wrong, fmt.Sprintf("clients ask for apiVersion %q, which is no version of today", e.APIVersion)
		found.Todo = "akslogin convert-kubeconfig makes it client.authentication.k8s.io/v1"
	}
	return found
}

// interactiveMode knows that clients of v1 refuse a stanza without one.
// https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
func interactiveMode(e *kube.Exec, m token.Method) token.Finding {
	found := token.Finding{Status: token.OK, Check: "interactiveMode", Text: cmp.Or(e.InteractiveMode, "not given")}
	switch {
	case e.InteractiveMode == "" && strings.HasSuffix(e.APIVersion, "/v1"):
		found.Status, found.Todo = token.Wrong, "kubectl refuses a stanza of v1 without it: akslogin convert-kubeconfig adds it"
	case !slices.Contains([]string{"", "Never", "IfAvailable", "Always"}, e.InteractiveMode):
		found.Status, found.Todo = token.Wrong, "it can be Never, IfAvailable or Always"
	case e.InteractiveMode == "Always" && !m.Asks:
		found.Status, found.Todo = token.Warning, "clients without a terminal refuse to run the plugin: make it Never, since nobody is asked"
	case e.InteractiveMode == "Never" && m.Asks:
		found.Status, found.Todo = token.Warning, "login "+m.Name+" can then never ask: make it IfAvailable"
	}
	return found
}

// allowList looks at kubectl's own preferences, which can forbid plugins since 1.35.
// https://kubernetes.io/docs/reference/kubectl/kuberc/#credential-plugin-policy
func allowList(command string) token.Finding {
	found := token.Finding{Status: token.OK, Check: "kuberc"}
	entry := "credentialPluginAllowlist: [{name: " + command + "}]"
	path := os.Getenv("KUBERC")
	if home, err := os.UserHomeDir(); path == "" && err == nil {
		path = filepath.Join(home, ".kube", "kuberc")
	}
	if path == "off" || os.Getenv("KUBECTL_KUBERC") == "false" || path == "" {
		found.Text = "it is switched off, so kubectl runs any plugin"
		return found
	}
	raw, err := kube.Read(path)
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
		found.Status, found.Text = token.Warning, path+" cannot be read as YAML, which kubectl will say too"
		return found
	}
	listed := false
	for _, e := range rc.List {
		one, _ := exec.LookPath(cmp.Or(e.Command, e.Name)) // what is not found is "", and matches nothing
		other, _ := exec.LookPath(command)
		listed = listed || cmp.Or(e.Command, e.Name) == command || one != "" && one == other
	}
	found.Text = path + ": " + cmp.Or(rc.Policy, "no policy, so kubectl runs any plugin")
	switch {
	case rc.Policy == "DenyAll":
		found.Status, found.Todo = token.Wrong, "kubectl runs no plugin: make it credentialPluginPolicy: Allowlist with "+entry
	case rc.Policy == "Allowlist" && !listed:
		found.Status, found.Todo = token.Wrong, "kubectl does not run this plugin: add it, "+entry
	case rc.Policy == "Allowlist":
		found.Text += " has " + command
	}
	return found
}
