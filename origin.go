package main

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/kube"
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
	args            given         // the old user's, for get-token
	env             []kube.EnvVar // the old user's
}

// source goes the one way to the cluster that was chosen.
func (c *kubeconfigCommand) source(line *commandLine, w world, log *slog.Logger) (clusterSource, error) {
	ways := []struct {
		flags  string
		chosen bool
		goes   func() (clusterSource, error)
	}{
		{"--server", c.Server != "", c.fromServer},
		{"--kubeconfig or --context", c.Kubeconfig != "" || c.Context != "", c.fromFiles},
		{"--resource-id", c.ResourceID != "", func() (clusterSource, error) { return c.fromAzure(line, w, log) }},
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
		return clusterSource{}, &token.UsageError{Text: "the cluster is named in more than one way: " + strings.Join(chosen, " and "), Hint: hint}
	case c.Server == "" && (c.CAFile != "" || c.CAData != ""):
		return clusterSource{}, &token.UsageError{Text: "--certificate-authority and --certificate-authority-data go with --server", Hint: "the other ways give the cluster's CA too"}
	case c.ResourceID == "" && c.PublicFQDN:
		return clusterSource{}, &token.UsageError{Text: "--public-fqdn goes with --resource-id"}
	}
	return way()
}

func (c *kubeconfigCommand) fromServer() (clusterSource, error) {
	u, err := url.Parse(c.Server)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return clusterSource{}, &token.UsageError{Text: "--server is not an address as https://HOST:443", Hint: "az aks show shows a cluster's as fqdn or privateFqdn"}
	}
	from := clusterSource{name: u.Hostname(), cluster: map[string]any{"server": c.Server}}
	ca, err := c.ca()
	if ca != "" {
		from.cluster[caData] = ca
	}
	return from, err
}

// ca is the CA that was given for a server, as a kubeconfig holds it; "" where none was.
func (c *kubeconfigCommand) ca() (string, error) {
	switch {
	case c.CAFile != "" && c.CAData != "":
		return "", &token.UsageError{Text: "--certificate-authority and --certificate-authority-data are both given, and one is enough"}
	case c.CAFile != "":
		return readCA(cache.Absolute(c.CAFile))
	case c.CAData == "":
		return "", nil
	}
	data := ""
	raw, err := base64.StdEncoding.DecodeString(c.CAData)
	if err != nil {
		err = errors.New("it is not base64")
	} else {
		data, err = certificates(raw)
	}
	if err != nil {
		err = &token.UsageError{Text: "--certificate-authority-data: " + err.Error(), Hint: "it is the PEM of certificates in base64, as it stands in a kubeconfig; --certificate-authority takes a file"}
	}
	return data, err
}

// The CA's fields in a cluster's entry.
const (
	caFile = "certificate-authority"
	caData = "certificate-authority-data"
)

// readCA returns a file's certificates as a kubeconfig holds them.
func readCA(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the cluster's CA: %w", err)
	}
	data, err := certificates(raw)
	if err != nil {
		return "", fmt.Errorf("the cluster's CA in %s: %w", file, err)
	}
	return data, nil
}

// certificates returns the certificates of a PEM file, and no more than these, in base64. Anything else in it may be a key.
func certificates(raw []byte) (string, error) {
	var all []byte
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("it holds a %s beside certificates", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", errors.New("it holds what is no certificate")
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if len(all) == 0 {
		return "", errors.New("it holds no certificate in PEM")
	}
	return base64.StdEncoding.EncodeToString(all), nil
}

// fromFiles reads the kubeconfig that was named, or those that count here.
func (c *kubeconfigCommand) fromFiles() (clusterSource, error) {
	named := ""
	if c.Kubeconfig != "" {
		named = cache.Absolute(c.Kubeconfig)
	}
	files, err := readKubeconfigs(named)
	if err != nil {
		return clusterSource{}, err
	}
	paths := kube.Files(named, os.Getenv)
	return contextSource(files, c.Context, "in "+strings.Join(paths, ", "))
}

// fromAzure asks for the kubeconfig as get-token asks for a token.
func (c *kubeconfigCommand) fromAzure(line *commandLine, w world, log *slog.Logger) (clusterSource, error) {
	r, err := c.Resolve(line.typed, os.Getenv)
	if err != nil {
		return clusterSource{}, err
	}
	ctx, surroundings, end := begin(r, w.dir(c.cacheFlags), w, log)
	defer end()
	surroundings.Prompt = prompt(nil)
	raw, err := clusterUserKubeconfig(ctx, r, surroundings, c.ResourceID, c.PublicFQDN)
	if err != nil {
		return clusterSource{}, err
	}
	k, err := kube.Parse("Azure's answer", raw)
	if err != nil {
		return clusterSource{}, err
	}
	from, err := contextSource(kubeconfigs{k}, "", "in Azure's answer")
	from.name = path.Base(c.ResourceID)
	return from, err
}

// kubeconfigs are files that count together: of two entries with one name the first one does.
type kubeconfigs []*kube.Kubeconfig

// lookupError says which entry is not in the kubeconfigs, and which are.
type lookupError struct{ text, hint string }

func (e *lookupError) Error() string { return e.text }

// asUsage makes a context that does not exist a wrong usage.
func asUsage(err error) error {
	var missing *lookupError
	if errors.As(err, &missing) {
		return &token.UsageError{Text: missing.text, Hint: missing.hint}
	}
	return err
}

// place is what a context names.
type place struct {
	context, namespace string
	cluster            kube.Cluster
	user               kube.User        // without a name where there is none
	in, userIn         *kube.Kubeconfig // the cluster's file, and the user's if there is one
}

// at finds what a context names; the current one where none is given. where says in words where it was looked for.
func (files kubeconfigs) at(context, where string) (place, error) {
	for _, f := range files {
		if context == "" {
			context = f.CurrentContext
		}
	}
	if context == "" {
		return place{}, &lookupError{"there is no current context " + where, "name one with --context: " + files.contexts()}
	}
	named, in := entry(files, func(k *kube.Kubeconfig) []kube.Context { return k.Contexts }, func(c kube.Context) bool { return c.Name == context })
	if in == nil {
		return place{}, &lookupError{fmt.Sprintf("there is no context %q %s", context, where), "there are: " + files.contexts()}
	}
	cluster, in := entry(files, func(k *kube.Kubeconfig) []kube.Cluster { return k.Clusters }, func(c kube.Cluster) bool { return c.Name == named.Cluster })
	if in == nil {
		return place{}, fmt.Errorf("context %q is of cluster %q, which is not %s", context, named.Cluster, where)
	}
	user, userIn := entry(files, func(k *kube.Kubeconfig) []kube.User { return k.Users }, func(u kube.User) bool { return u.Name == named.User })
	return place{context, named.Namespace, cluster, user, in, userIn}, nil
}

// contextSource is what a context names, to be written anew.
func contextSource(files kubeconfigs, context, where string) (clusterSource, error) {
	at, err := files.at(context, where)
	if err != nil {
		return clusterSource{}, asUsage(err)
	}
	from := clusterSource{name: at.context, namespace: at.namespace}
	if from.cluster, err = withCA(at.cluster.Fields, at.in.Path); err != nil {
		return clusterSource{}, err
	}
	if at.user.Exec != nil {
		var warnings []string
		if from.args, from.env, warnings = inherited(at.user); len(warnings) > 0 {
			for _, text := range warnings {
				warn(text)
			}
		}
	}
	return from, nil
}

// entry finds an entry, and the file that it is in.
func entry[T any](files kubeconfigs, entries func(*kube.Kubeconfig) []T, is func(T) bool) (found T, in *kube.Kubeconfig) {
	for _, f := range files {
		if i := slices.IndexFunc(entries(f), is); i >= 0 {
			return entries(f)[i], f
		}
	}
	return found, nil
}

func (files kubeconfigs) contexts() string {
	var names []string
	for _, f := range files {
		for _, c := range f.Contexts {
			names = append(names, strconv.Quote(c.Name))
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// withCA returns a cluster's fields with its CA's file read into them, since the file may not be where the new kubeconfig is used.
func withCA(fields map[string]any, kubeconfig string) (map[string]any, error) {
	if server, _ := fields["server"].(string); server == "" {
		return nil, fmt.Errorf("the cluster in %s has no server", kubeconfig)
	}
	file, _ := fields[caFile].(string)
	if file == "" {
		return fields, nil
	}
	fields = maps.Clone(fields)
	delete(fields, caFile)
	if data, _ := fields[caData].(string); data != "" { // this is what clients take then
		return fields, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(kubeconfig), file)
	}
	data, err := readCA(file)
	fields[caData] = data
	return fields, err
}

// inherited are the arguments and variables of an old user that go into the new one. Variables that would win over the
// arguments are left out.
func inherited(user kube.User) (args given, env []kube.EnvVar, warnings []string) {
	warn := func(text string) { warnings = append(warnings, text) }
	args, err := readStanza(user.Exec)
	if err != nil {
		warn(fmt.Sprintf("the arguments of user %q are not taken over: %v", user.Name, err))
	}
	for _, v := range user.Exec.Env {
		switch {
		case v.Name == "":
			continue
		case isSecret(v.Name):
			warn(fmt.Sprintf("%s in the env of user %q is not taken over, because it is a secret", v.Name, user.Name))
			continue
		case overrides(v.Name):
			warn(fmt.Sprintf("%s in the env of user %q is not taken over, because it would win over the arguments", v.Name, user.Name))
			continue
		}
		env = append(env, v)
	}
	return args, env, warnings
}

// overrides tells whether a variable wins over a flag.
func overrides(variable string) bool {
	return isVariable(variable, func(_ reflect.StructField, v token.Variable) bool { return v.Overrides })
}

// isSecret tells whether a variable holds the value of a secret flag.
func isSecret(variable string) bool {
	return isVariable(variable, func(field reflect.StructField, _ token.Variable) bool { return field.Tag.Get("secret") != "" })
}

// isVariable tells whether a flag is read from a variable in a certain way.
func isVariable(variable string, is func(reflect.StructField, token.Variable) bool) bool {
	for _, field := range pluginFlags() {
		for _, v := range token.Variables(field.Tag.Get) {
			if v.Name == variable && is(field, v) {
				return true
			}
		}
	}
	return false
}
