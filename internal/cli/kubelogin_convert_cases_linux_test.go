package cli

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"go.yaml.in/yaml/v3"
)

// methodFlags are the flags in test cases of each method.
var methodFlags = map[string][]string{
	"devicecode":       {"client-id", "tenant-id", "environment", "legacy", "cache-dir"},
	"interactive":      {"client-id", "tenant-id", "environment", "pop", "redirect-url", "login-hint", "cache-dir"},
	"spn":              {"client-id", "tenant-id", "environment", "client-secret", "client-certificate", "client-certificate-password", "legacy", "pop", "disable-environment-override"},
	"ropc":             {"client-id", "tenant-id", "environment", "username", "password", "legacy", "pop", "token-cache-dir"},
	"msi":              {"client-id", "identity-resource-id"},
	"azurecli":         {"tenant-id", "subscription", "cache-dir"},
	"azd":              {"tenant-id"},
	"workloadidentity": {"client-id", "tenant-id", "authority-host", "federated-token-file"},
	"azurepipelines":   {"client-id", "tenant-id", "azure-pipelines-service-connection-id"},
}

var (
	allMethods = slices.Sorted(maps.Keys(methodFlags))

	boolFlags = []string{
		"legacy", "pop-enabled", "use-azurerm-env-vars", "disable-environment-override",
		"disable-instance-discovery",
	}

	shortFlags = map[string]string{
		"login": "-l", "tenant-id": "-t", "environment": "-e", "subscription": "-s",
	}
	longFlags = map[string]string{
		"-l": "login", "-t": "tenant-id", "-e": "environment", "-s": "subscription",
	}

	flagValues = map[string][]string{
		"client-id":   {"80faf920-1908-4b52-b5ef-a8e7bedfc67a", client, otherClient},
		"tenant-id":   {tenant, otherTenant},
		"server-id":   {entratest.AKSServerID, otherServerID},
		"environment": {"AzurePublicCloud", "AzureUSGovernmentCloud", "AzureChinaCloud"},
		"timeout":     {"45s", "90s", "2m0s"}, "cache-dir": {"/var/cache/a", "/var/cache/b c"}, "token-cache-dir": {"/var/cache/c"},
		"client-secret": {"s3cret", "-begins with a dash", "a=b"}, "client-certificate": {"/etc/cert.pem"}, "client-certificate-password": {"pass word"},
		"username": {"jane@contoso.example"}, "password": {"p", "--p"}, "login-hint": {"jane@contoso.example"}, "redirect-url": {"http://localhost:8400"},
		"identity-resource-id": {"/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"},
		"subscription":         {"My subscription", "44444444-dddd-4444-8888-000000000001"},
		"authority-host":       {"https://login.microsoftonline.com/", "https://login.microsoftonline.us/"},
		"federated-token-file": {"/var/run/token"}, "azure-pipelines-service-connection-id": {"55555555-eeee-4444-8888-000000000001"},
		"pop-claims": {"u=/subscriptions/s", "u=/subscriptions/s,a=b"},
	}
)

// convertCase is a conversion: a command line, and the kubeconfig files to convert.
type convertCase struct {
	files         [][]oldUser
	source        string            // how the files are named: flag, variable, or home
	flags         map[string]string // get-token's flags
	args          []string          // the command line: these flags in some spelling, and others
	loginVariable string            // $AAD_LOGIN_METHOD
}

// oldUser is a user before the conversion. One of provider, exec and other is not nil.
type oldUser struct {
	name     string
	provider map[string]string // an auth-provider's config
	exec     *oldExec
	other    map[string]any // a user that is not to be converted
	login    string         // a value of --login for this user only; "": none
	shadowed bool           // an earlier file has a user of the same name
}

// oldExec is an exec config before the conversion.
type oldExec struct {
	command string
	flags   map[string]string // the flags in args; nil: args are another program's
	args    []string
	env     map[string]string
	others  map[string]any // other fields
}

// setFlags sets flags, and writes all flags to args in the spelling that kubelogin's conversion
// reads.
func (e *oldExec) setFlags(flags map[string]string) {
	if e.flags == nil {
		return
	}
	e.flags, e.args = maps.Clone(e.flags), []string{"get-token"}
	maps.Copy(e.flags, flags)
	for _, flag := range slices.Sorted(maps.Keys(e.flags)) {
		switch {
		case !slices.Contains(boolFlags, flag):
			e.args = append(e.args, "--"+flag, e.flags[flag])
		case e.flags[flag] == "true":
			e.args = append(e.args, "--"+flag)
		}
	}
}

func (u *oldUser) clone() oldUser {
	c := *u
	c.provider = maps.Clone(u.provider)
	if u.exec != nil {
		e := *u.exec
		c.exec = &e
	}
	return c
}

// entry returns the user as it is in a kubeconfig. env replaces the exec config's env if it is not
// nil.
func (u *oldUser) entry(env map[string]string) map[string]any {
	if u.provider != nil {
		return map[string]any{"auth-provider": map[string]any{"name": "azure", "config": u.provider}}
	}
	if u.exec == nil {
		return u.other
	}
	e := map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1beta1",
		"command":    u.exec.command, "args": u.exec.args,
	}
	maps.Copy(e, u.exec.others)
	if env == nil {
		env = u.exec.env
	}
	var list []any
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, map[string]any{"name": name, "value": env[name]})
	}
	if list != nil {
		e["env"] = list
	}
	return map[string]any{"exec": e}
}

// canonicalNames replaces old names of flags.
func canonicalNames(flags map[string]string) map[string]string {
	c := map[string]string{}
	for flag, value := range flags {
		if flag == "token-cache-dir" {
			flag = "cache-dir"
		}
		c[flag] = value
	}
	return c
}

// normalizeFlags returns flags in one spelling, without those that have their default value.
func normalizeFlags(flags map[string]string) map[string]string {
	c := canonicalNames(flags)
	for flag, value := range c {
		if value == "false" && slices.Contains(boolFlags, flag) {
			delete(c, flag)
		}
		if d, err := time.ParseDuration(value); flag == "timeout" && err == nil {
			c[flag] = d.String()
		}
	}
	return c
}

// randomCase generates random parts of a case.
type randomCase struct{ *rand.Rand }

// percent returns true with a probability of n percent.
func (r randomCase) percent(n int) bool { return r.IntN(100) < n }

func pick[T any](r randomCase, from ...T) T { return from[r.IntN(len(from))] }

// flags returns random values for a random part of a method's flags.
func (r randomCase) flags(method string, percent int) map[string]string {
	flags := map[string]string{}
	for _, flag := range append(slices.Clone(methodFlags[method]), "server-id") {
		switch {
		case !r.percent(percent):
		case flag == "pop":
			flags["pop-enabled"], flags["pop-claims"] = "true", pick(r, flagValues["pop-claims"]...)
		case slices.Contains(boolFlags, flag):
			flags[flag] = "true"
		default:
			flags[flag] = pick(r, flagValues[flag]...)
		}
	}
	return flags
}

// spell returns the arguments for flags, each in a random spelling that pflag accepts: unusual ones
// with the given probability.
func (r randomCase) spell(flags map[string]string, percent int) []string {
	var args []string
	names := slices.Sorted(maps.Keys(flags))
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, flag := range names {
		value, short := flags[flag], shortFlags[flag]
		switch unusual := r.percent(percent); {
		case slices.Contains(boolFlags, flag) && value == "true" && !unusual:
			args = append(args, "--"+flag)
		case slices.Contains(boolFlags, flag):
			args = append(args, "--"+flag+"="+value)
		case !unusual:
			args = append(args, "--"+flag, value)
		case short != "":
			args = append(args, pick(r,
				[]string{short, value}, []string{short + "=" + value}, []string{short + value})...)
		default:
			args = append(args, "--"+flag+"="+value)
		}
	}
	return args
}

// otherUsers are users that are not to be converted.
var otherUsers = []map[string]any{
	{"token": "t"},
	{"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"},
	{"exec": map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws",
		"args":            []string{"eks", "get-token"},
		"interactiveMode": "IfAvailable", "provideClusterInfo": false,
	}},
	{"auth-provider": map[string]any{
		"name": "gcp", "config": map[string]any{"cmd-path": "gcloud"},
	}},
}

func (r randomCase) user(name string) oldUser {
	u := oldUser{name: name}
	switch kind := r.IntN(100); {
	case kind < 30:
		u.provider = r.provider()
	case kind < 75:
		u.exec = r.exec()
	case kind < 82:
		u.exec = &oldExec{command: "kubelogin", env: map[string]string{}, args: pick(r,
			[]string{"get-token", "--oidc-issuer-url=https://issuer.example"},
			[]string{"convert-kubeconfig"},
			[]string{})}
	default:
		u.other = pick(r, otherUsers...)
	}
	return u
}

// provider returns the config of an auth-provider of az.
func (r randomCase) provider() map[string]string {
	provider := map[string]string{}
	for _, field := range []string{"apiserver-id", "client-id", "environment", "tenant-id"} {
		if r.percent(85) {
			flag := map[string]string{"apiserver-id": "server-id"}[field]
			provider[field] = pick(r, flagValues[cmp.Or(flag, field)]...)
		}
	}
	if mode := pick(r, "", "0", "1"); mode != "" {
		provider["config-mode"] = mode
	}
	return provider
}

func (r randomCase) exec() *oldExec {
	method := pick(r, allMethods...)
	e := &oldExec{env: map[string]string{}, others: map[string]any{}}
	e.command = pick(r,
		"kubelogin", "kubelogin", "/usr/local/bin/kubelogin", `C:\tools\KubeLogin.exe`)
	e.flags = r.flags(method, 75)
	e.flags["login"] = method
	if r.percent(20) {
		flag := pick(r, "timeout", "environment")
		e.flags[flag] = pick(r, flagValues[flag]...)
	}
	if r.percent(10) {
		e.flags[pick(r, "use-azurerm-env-vars", "disable-instance-discovery")] = "true"
	}
	e.args = append([]string{"get-token"}, r.spell(e.flags, pick(r, 0, 0, 40))...)
	if r.percent(50) {
		e.env[pick(r, "AZURE_CONFIG_DIR", "HTTPS_PROXY")] = "/old"
	}
	if r.percent(30) {
		e.others = map[string]any{
			"interactiveMode":    pick(r, "Never", "Always", "IfAvailable"),
			"provideClusterInfo": r.percent(50),
			"installHint":        "ask Jane",
		}
	}
	return e
}

// newConvertCase returns the random case with a number, which is the same in every run.
func newConvertCase(number int) *convertCase {
	r := randomCase{rand.New(rand.NewPCG(2026, uint64(number)))}
	c := &convertCase{source: pick(r, "flag", "variable", "home"), flags: map[string]string{}}
	first := []oldUser{r.user("u0")}
	for i := 1; r.percent(40) && i < 4; i++ {
		first = append(first, r.user("u"+strconv.Itoa(i)))
	}
	c.files = [][]oldUser{first}
	if r.percent(30) {
		shadowed := r.user("u0")
		shadowed.shadowed = true
		c.source, c.files = "variable", append(c.files, []oldUser{shadowed, r.user("v0")})
	}
	r.setFlags(c)
	c.args = append([]string{"convert-kubeconfig"}, r.spell(c.flags, 40)...)
	if r.percent(20) || c.flags["login"] == "azurecli" && r.percent(50) {
		c.args = append(c.args, "--azure-config-dir", "/home/jane/azure")
	}
	if r.percent(20) {
		contexts := []string{"of-u0", "of-u0", "of-u0", "of-u1", "of-nobody", "none"}
		c.args = append(c.args, "--context", pick(r, contexts...))
	}
	if r.percent(2) {
		c.args = append(c.args, "--no-such-flag")
	}
	return c
}

// setFlags sets the get-token flags of a case.
func (r randomCase) setFlags(c *convertCase) {
	c.flags = r.flags(pick(r, allMethods...), pick(r, 0, 15, 80))
	if r.percent(75) {
		method := pick(r, allMethods...)
		c.flags = r.flags(method, pick(r, 20, 50, 95))
		c.flags["login"] = method
	} else if r.percent(30) {
		c.loginVariable = pick(r, allMethods...)
	}
	for _, flag := range []string{
		"timeout", "use-azurerm-env-vars", "disable-environment-override", "environment",
		"disable-instance-discovery", "username", "cache-dir", "subscription",
	} {
		if !r.percent(7) || flag == "cache-dir" && c.flags["token-cache-dir"] != "" {
			continue
		}
		if c.flags[flag] = "true"; !slices.Contains(boolFlags, flag) {
			c.flags[flag] = pick(r, flagValues[flag]...)
		}
	}
	if r.percent(25) {
		c.flags["legacy"] = "false"
	}
	if r.percent(4) {
		delete(c.flags, pick(r, "pop-claims", "pop-enabled"))
	}
	if r.percent(4) {
		c.flags["pop-enabled"] = "false"
	}
	if r.percent(3) {
		invalid := pick(r,
			"login=oidc", "timeout=0s", "timeout=soon", "authority-host=login.microsoftonline.com")
		flag, value, _ := strings.Cut(invalid, "=")
		c.flags[flag] = value
	}
}

// kubeconfigOf returns a kubeconfig with these users and a context for each of them. env replaces
// the env of their exec configs if it is not nil.
func kubeconfigOf(users []oldUser, env map[string]string) []byte {
	contextOf := func(user string) any {
		context := map[string]any{"cluster": "c", "user": user}
		return map[string]any{"name": "of-" + user, "context": context}
	}
	contexts := []any{contextOf("nobody")}
	var entries []any
	for _, u := range users {
		contexts = append(contexts, contextOf(u.name))
		entries = append(entries, map[string]any{"name": u.name, "user": u.entry(env)})
	}
	cluster := map[string]any{"server": "https://c.example"}
	content, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config",
		"current-context": "of-u0", "contexts": contexts, "users": entries,
		"clusters": []any{map[string]any{"name": "c", "cluster": cluster}},
	})
	if err != nil {
		panic(err)
	}
	return content
}

// contents returns the files before the conversion.
func (c *convertCase) contents() [][]byte {
	var files [][]byte
	for _, users := range c.files {
		files = append(files, kubeconfigOf(users, nil))
	}
	return files
}
