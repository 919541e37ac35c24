package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/arm"
	"github.com/akslogin/akslogin/internal/envvar"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/stanza"
	"github.com/akslogin/akslogin/token"
)

// clusterFlags select the cluster that a kubeconfig is written for.
type clusterFlags struct {
	Server     string `name:"server" group:"cluster" placeholder:"URL" help:"The cluster by its API server's address, https://..."`
	CAFile     string `name:"certificate-authority" group:"cluster" placeholder:"FILE" help:"With --server: the cluster's CA certificate in PEM, which is copied into the kubeconfig. By default, the system's CAs are trusted."`
	CAData     string `name:"certificate-authority-data" group:"cluster" placeholder:"BASE64" help:"With --server: the same certificate as base64-encoded PEM, as in a kubeconfig."`
	Kubeconfig string `name:"kubeconfig" group:"cluster" placeholder:"FILE" help:"The cluster of a context in this kubeconfig. Its user's get-token arguments are kept, unless a flag replaces them."`
	Context    string `name:"context" group:"cluster" placeholder:"NAME" help:"The context; by default the current one. Without --kubeconfig it is looked for in the files of $KUBECONFIG, or else in ~/.kube/config."`
	ResourceID string `name:"resource-id" group:"cluster" placeholder:"ID" help:"The AKS cluster with this Azure resource ID. Its kubeconfig is requested from Azure, with the login that flags and variables select."`
	PublicFQDN bool   `name:"public-fqdn" group:"cluster" help:"With --resource-id: the public address of a private cluster."`
}

// clusterSource is what a new kubeconfig is made from.
type clusterSource struct {
	name, namespace string
	cluster         map[string]any // fields of the cluster's entry
	args            flags.Values   // get-token's flags in the existing exec config
	env             []kubeconfig.EnvVar
	config          stanza.ClusterConfig
}

// resolveCluster finds the cluster in the one way that the flags choose.
func (c *kubeconfigCommand) resolveCluster(line *flags.CommandLine, o options, log *slog.Logger) (clusterSource, error) {
	fromAzure := func() (clusterSource, error) { return c.fromAzure(line, o, log) }
	ways := []struct {
		flags  string
		chosen bool
		find   func() (clusterSource, error)
	}{
		{"--server", c.Server != "", c.fromServer},
		{"--kubeconfig or --context", c.Kubeconfig != "" || c.Context != "", c.fromFiles},
		{"--resource-id", c.ResourceID != "", fromAzure},
	}
	var all, chosen []string
	var find func() (clusterSource, error)
	for _, way := range ways {
		all = append(all, way.flags)
		if way.chosen {
			chosen, find = append(chosen, way.flags), way.find
		}
	}
	hint := "one of these says which cluster: " + strings.Join(all, "; ")
	switch {
	case len(chosen) == 0:
		return clusterSource{}, &token.UsageError{Text: "no cluster is named", Hint: hint}
	case len(chosen) > 1:
		return clusterSource{}, &token.UsageError{
			Text: "the cluster is named in more than one way: " + strings.Join(chosen, " and "),
			Hint: hint,
		}
	case c.Server == "" && (c.CAFile != "" || c.CAData != ""):
		return clusterSource{}, &token.UsageError{
			Text: "--certificate-authority and --certificate-authority-data are valid only with --server",
			Hint: "the other ways to name the cluster also give its CA",
		}
	case c.ResourceID == "" && c.PublicFQDN:
		return clusterSource{}, &token.UsageError{Text: "--public-fqdn is valid only with --resource-id"}
	}
	return find()
}

func (c *kubeconfigCommand) fromServer() (clusterSource, error) {
	u, err := url.Parse(c.Server)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return clusterSource{}, &token.UsageError{
			Text: "--server is not an address such as https://HOST:443",
			Hint: "az aks show shows a cluster's as fqdn or privateFqdn",
		}
	}
	source := clusterSource{name: u.Hostname(), cluster: map[string]any{"server": c.Server}}
	ca, err := c.certificateAuthority()
	if ca != "" {
		source.cluster[kubeconfig.CADataKey] = ca
	}
	return source, err
}

// certificateAuthority returns the CA that goes with --server as a kubeconfig holds it, "" if none
// was given.
func (c *kubeconfigCommand) certificateAuthority() (string, error) {
	switch {
	case c.CAFile != "" && c.CAData != "":
		return "", &token.UsageError{
			Text: "--certificate-authority and --certificate-authority-data are both given: give only one",
		}
	case c.CAFile != "":
		return kubeconfig.ReadCA(cache.ExpandPath(c.CAFile))
	case c.CAData == "":
		return "", nil
	}
	data := ""
	raw, err := base64.StdEncoding.DecodeString(c.CAData)
	if err != nil {
		err = errors.New("it is not base64")
	} else {
		data, err = kubeconfig.EncodeCertificates(raw)
	}
	if err != nil {
		err = &token.UsageError{
			Text: "--certificate-authority-data: " + err.Error(),
			Hint: "it must be base64-encoded PEM certificates, as in a kubeconfig; " +
				"--certificate-authority takes a file",
		}
	}
	return data, err
}

// fromFiles reads the file of --kubeconfig, or those that kubectl would read.
func (c *kubeconfigCommand) fromFiles() (clusterSource, error) {
	files, err := kubeconfig.Load(expandPath(c.Kubeconfig))
	if err != nil {
		return clusterSource{}, err
	}
	paths := kubeconfig.Paths(expandPath(c.Kubeconfig), os.Getenv)
	return contextSource(files, c.Context, "in "+strings.Join(paths, ", "))
}

// fromAzure asks Azure Resource Manager, with a token that is cached as get-token's are.
func (c *kubeconfigCommand) fromAzure(line *flags.CommandLine, o options, log *slog.Logger) (clusterSource, error) {
	request, err := c.Resolve(line.Explicit, envvar.Get)
	if err != nil {
		return clusterSource{}, err
	}
	ctx, login, end := startLogin(request, o.cacheDir(c.Cache), o, log)
	defer end()
	login.Prompt = promptWriter(request.Prompt, nil)
	raw, err := arm.ClusterUserKubeconfig(ctx, request, login, c.ResourceID, c.PublicFQDN)
	if err != nil {
		return clusterSource{}, err
	}
	file, err := kubeconfig.Parse("Azure's answer", raw)
	if err != nil {
		return clusterSource{}, err
	}
	source, err := contextSource(kubeconfig.Files{file}, "", "in Azure's answer")
	source.name = path.Base(c.ResourceID)
	return source, err
}

// contextSource returns what the context names; "" is the current one. where says for errors where
// the files come from.
func contextSource(files kubeconfig.Files, context, where string) (clusterSource, error) {
	found, err := files.FindContext(context, where)
	if missing := new(kubeconfig.NotFoundError); errors.As(err, &missing) {
		return clusterSource{}, &token.UsageError{Text: missing.Text, Hint: missing.Hint}
	}
	if err != nil {
		return clusterSource{}, err
	}
	source := clusterSource{name: found.Context, namespace: found.Namespace}
	source.cluster, err = kubeconfig.InlineCA(found.Cluster.Fields, found.ClusterFile.Path)
	if err != nil {
		return clusterSource{}, err
	}
	if found.User.Exec != nil {
		source.args, source.env = inheritExec(found.User)
		source.config, err = stanza.ReadClusterConfig(found.User.Exec, source.cluster)
	}
	return source, err
}

// inheritExec returns the arguments and variables of an existing user that the new one gets. It
// leaves out, with a warning, secrets and variables that would override the arguments.
func inheritExec(user kubeconfig.User) (args flags.Values, env []kubeconfig.EnvVar) {
	args, err := stanza.ReadArgs(user.Exec)
	if err != nil {
		printWarning(fmt.Sprintf("the arguments of user %q are not copied: %v", user.Name, err))
	}
	for _, v := range user.Exec.Env {
		why := ""
		switch {
		case v.Name == "":
			continue
		case flags.IsSecretVariable(v.Name):
			why = "it is a secret"
		case flags.OverridesFlag(v.Name):
			why = "it would override the arguments"
		}
		if why == "" {
			env = append(env, v)
			continue
		}
		printWarning(fmt.Sprintf("%s in the env of user %q is not copied, because %s", v.Name, user.Name, why))
	}
	return args, env
}

// expandPath is cache.ExpandPath for a flag that need not be given: "" stays "".
func expandPath(path string) string {
	if path == "" {
		return ""
	}
	return cache.ExpandPath(path)
}
