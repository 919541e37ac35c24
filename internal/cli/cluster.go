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

// clusterFlags say which cluster a kubeconfig is for.
type clusterFlags struct {
	Server     string `name:"server" group:"cluster" placeholder:"URL" help:"The cluster by its API server's address, https://..."`
	CAFile     string `name:"certificate-authority" group:"cluster" placeholder:"FILE" help:"With --server: the cluster's CA certificate in PEM, which is copied into the kubeconfig. Without one the system's CAs count."`
	CAData     string `name:"certificate-authority-data" group:"cluster" placeholder:"BASE64" help:"The same as it stands in a kubeconfig: PEM in base64."`
	Kubeconfig string `name:"kubeconfig" group:"cluster" placeholder:"FILE" help:"The cluster of a context in this kubeconfig. Arguments that its user has for get-token are kept unless they are given anew."`
	Context    string `name:"context" group:"cluster" placeholder:"NAME" help:"The context; by default the current one. Without --kubeconfig it is looked for in the files of $KUBECONFIG, or else in ~/.kube/config."`
	ResourceID string `name:"resource-id" group:"cluster" placeholder:"ID" help:"The AKS cluster with this resource ID in Azure, which is asked for its kubeconfig with the login that the flags and variables say."`
	PublicFQDN bool   `name:"public-fqdn" group:"cluster" help:"With --resource-id: the public address of a private cluster."`
}

// clusterSource is what a new kubeconfig is made from.
type clusterSource struct {
	name, namespace string
	cluster         map[string]any
	args            flags.Values        // the old user's, for get-token
	env             []kubeconfig.EnvVar // the old user's
}

// resolveCluster goes the one way to the cluster that was chosen.
func (c *kubeconfigCommand) resolveCluster(
	line *flags.CommandLine,
	w options,
	log *slog.Logger,
) (clusterSource, error) {
	ways := []struct {
		flags  string
		chosen bool
		goes   func() (clusterSource, error)
	}{
		{"--server", c.Server != "", c.fromServer},
		{"--kubeconfig or --context", c.Kubeconfig != "" || c.Context != "", c.fromFiles},
		{
			"--resource-id",
			c.ResourceID != "",
			func() (clusterSource, error) { return c.fromAzure(line, w, log) },
		},
	}
	var all, chosen []string
	var way func() (clusterSource, error)
	for _, one := range ways {
		all = append(all, one.flags)
		if one.chosen {
			chosen, way = append(chosen, one.flags), one.goes
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
			Text: "--certificate-authority and --certificate-authority-data go with --server",
			Hint: "the other ways give the cluster's CA too",
		}
	case c.ResourceID == "" && c.PublicFQDN:
		return clusterSource{}, &token.UsageError{Text: "--public-fqdn goes with --resource-id"}
	}
	return way()
}

func (c *kubeconfigCommand) fromServer() (clusterSource, error) {
	u, err := url.Parse(c.Server)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" ||
		u.Fragment != "" {
		return clusterSource{}, &token.UsageError{
			Text: "--server is not an address as https://HOST:443",
			Hint: "az aks show shows a cluster's as fqdn or privateFqdn",
		}
	}
	from := clusterSource{name: u.Hostname(), cluster: map[string]any{"server": c.Server}}
	ca, err := c.certificateAuthority()
	if ca != "" {
		from.cluster[kubeconfig.CaDataKey] = ca
	}
	return from, err
}

// certificateAuthority is the CA that was given for a server, as a kubeconfig holds it; "" where
// none was.
func (c *kubeconfigCommand) certificateAuthority() (string, error) {
	switch {
	case c.CAFile != "" && c.CAData != "":
		return "", &token.UsageError{
			Text: "--certificate-authority and --certificate-authority-data are both given, and one is enough",
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
			Hint: "it is the PEM of certificates in base64, as it stands in a kubeconfig; --certificate-authority takes a file",
		}
	}
	return data, err
}

// fromFiles reads the kubeconfig that was named, or those that count here.
func (c *kubeconfigCommand) fromFiles() (clusterSource, error) {
	named := ""
	if c.Kubeconfig != "" {
		named = cache.ExpandPath(c.Kubeconfig)
	}
	files, err := kubeconfig.Load(named)
	if err != nil {
		return clusterSource{}, err
	}
	paths := kubeconfig.Paths(named, os.Getenv)
	return contextSource(files, c.Context, "in "+strings.Join(paths, ", "))
}

// fromAzure asks for the kubeconfig as get-token asks for a token.
func (c *kubeconfigCommand) fromAzure(
	line *flags.CommandLine,
	w options,
	log *slog.Logger,
) (clusterSource, error) {
	r, err := c.Resolve(line.Explicit, envvar.Get)
	if err != nil {
		return clusterSource{}, err
	}
	ctx, surroundings, end := startLogin(r, w.cacheDir(c.Cache), w, log)
	defer end()
	surroundings.Prompt = promptWriter(nil)
	raw, err := arm.ClusterUserKubeconfig(ctx, r, surroundings, c.ResourceID, c.PublicFQDN)
	if err != nil {
		return clusterSource{}, err
	}
	k, err := kubeconfig.Parse("Azure's answer", raw)
	if err != nil {
		return clusterSource{}, err
	}
	from, err := contextSource(kubeconfig.Files{k}, "", "in Azure's answer")
	from.name = path.Base(c.ResourceID)
	return from, err
}

// usageError makes a context that does not exist a wrong usage.
func usageError(err error) error {
	var missing *kubeconfig.NotFoundError
	if errors.As(err, &missing) {
		return &token.UsageError{Text: missing.Text, Hint: missing.Hint}
	}
	return err
}

// contextSource is what a context names, to be written anew.
func contextSource(files kubeconfig.Files, context, where string) (clusterSource, error) {
	at, err := files.FindContext(context, where)
	if err != nil {
		return clusterSource{}, usageError(err)
	}
	from := clusterSource{name: at.Context, namespace: at.Namespace}
	if from.cluster, err = kubeconfig.InlineCA(at.Cluster.Fields, at.ClusterFile.Path); err != nil {
		return clusterSource{}, err
	}
	if at.User.Exec != nil {
		var warnings []string
		if from.args, from.env, warnings = inheritExec(at.User); len(warnings) > 0 {
			for _, text := range warnings {
				printWarning(text)
			}
		}
	}
	return from, nil
}

// inheritExec are the arguments and variables of an old user that go into the new one. Variables
// that would win over the arguments are left out.
func inheritExec(
	user kubeconfig.User,
) (args flags.Values, env []kubeconfig.EnvVar, warnings []string) {
	warn := func(text string) { warnings = append(warnings, text) }
	args, err := stanza.ReadArgs(user.Exec)
	if err != nil {
		warn(fmt.Sprintf("the arguments of user %q are not taken over: %v", user.Name, err))
	}
	for _, v := range user.Exec.Env {
		switch {
		case v.Name == "":
			continue
		case flags.IsSecretVariable(v.Name):
			warn(
				fmt.Sprintf(
					"%s in the env of user %q is not taken over, because it is a secret",
					v.Name,
					user.Name,
				),
			)
			continue
		case flags.OverridesFlag(v.Name):
			warn(
				fmt.Sprintf(
					"%s in the env of user %q is not taken over, because it would win over the arguments",
					v.Name,
					user.Name,
				),
			)
			continue
		}
		env = append(env, v)
	}
	return args, env, warnings
}
