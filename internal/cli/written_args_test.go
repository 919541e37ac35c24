package cli

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/stanza"
	"github.com/akslogin/akslogin/token"
)

// writtenValues are values of flags in TestWrittenArgsAreAccepted: some that get-token takes, and
// some that it does not.
var writtenValues = map[string][]string{
	"client-id": {token.PublicClientID, client, "not an ID!"}, "tenant-id": {tenant, "contoso.example", "common", ".."},
	"server-id": {"6dae42f8-4368-4678-94ff-3960e28e3630", "api://x/.default", "–x"}, "environment": {"AzurePublicCloud", "azurechinacloud", "AzureGermanCloud"},
	"authority-host": {"https://login.microsoftonline.us/", "login.example", "https://u:p@x/"}, "timeout": {"45s", "2m", "0s", "-1s"},
	"azure-token-proxy": {"auto", "on", "maybe"}, "federated-token-file": {"/token", "-"}, "federated-token-env": {"ID_TOKEN", "$ID_TOKEN", "no name"}, "cache-dir": {"/cache", "c d"},
	"client-secret": {"s3cret", "-begins with a dash"}, "client-certificate": {"/cert.pem"}, "client-certificate-password": {"--p"},
	"username": {"jane@contoso.example"}, "password": {"a=b"}, "login-hint": {"jane"}, "redirect-url": {"http://localhost:8400", "https://elsewhere.example"},
	"identity-resource-id": {"/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i", "i"},
	"subscription":         {"My subscription", "a;b"}, "azure-pipelines-service-connection-id": {"55555555-eeee-4444-8888-000000000001"},
	"via-client-id": {"22222222-bbbb-4444-8888-000000000009", "not an ID!"}, "prompt": {"auto", "never", "maybe"},
	"pop-claims": {"u=/subscriptions/s", "u=/subscriptions/s,a=b", "a=b", "u"}, "log-file": {"/log"},
}

// writtenFlags returns random values of get-token's flags.
func writtenFlags(r *rand.Rand) flags.Values {
	values := flags.Values{}
	required := []string{"client-id", "tenant-id", "via-client-id", "username", "azure-pipelines-service-connection-id"}
	percent := []int{0, 3, 10}[r.IntN(3)]
	for _, field := range flags.GetTokenFields() {
		flag := field.Tag.Get("name")
		known := writtenValues[flag]
		valid := min(len(known), 2)
		switch {
		case flag == "" || flag == "login":
		case r.IntN(100) >= percent && (!slices.Contains(required, flag) || r.IntN(4) == 0):
		case flags.IsBool(flag):
			values[flag] = []string{"true", "true", "false"}[r.IntN(3)]
		case valid > 0 && r.IntN(25) > 0:
			values[flag] = known[r.IntN(valid)]
		case valid > 0:
			values[flag] = known[r.IntN(len(known))]
		}
	}
	return values
}

// writtenUser returns a random user of an exec config with these flags, or of the azure
// auth-provider.
func writtenUser(r *rand.Rand, existing flags.Values) (entry map[string]any) {
	if r.IntN(3) == 0 {
		config := map[string]string{"apiserver-id": existing["server-id"], "config-mode": []string{"", "0", "1"}[r.IntN(3)]}
		for _, name := range []string{"client-id", "tenant-id", "environment"} {
			config[name] = existing[name]
		}
		return map[string]any{"auth-provider": map[string]any{"name": "azure", "config": config}}
	}
	args := []string{"get-token"}
	for _, flag := range slices.Sorted(maps.Keys(existing)) {
		args = append(args, "--"+flag+"="+existing[flag])
	}
	return map[string]any{"exec": map[string]any{"command": "kubelogin", "args": args}}
}

// takesArgs returns why get-token would refuse the args, where variables supply what is not in
// them.
func takesArgs(args []string) error {
	variables := map[string]string{
		"AZURE_CLIENT_ID": client, "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_SECRET": "x", "AZURE_USERNAME": "jane",
		"AZURE_PASSWORD": "x", "AKSLOGIN_VIA_CLIENT_ID": "22222222-bbbb-4444-8888-000000000009", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "x",
		"AZURESUBSCRIPTION_CLIENT_ID": client, "AZURESUBSCRIPTION_TENANT_ID": tenant,
	}
	line, get, err := flags.ParseGetToken(args)
	if err != nil {
		return err
	}
	request, err := get.Resolve(line.Explicit, func(name string) string { return variables[name] })
	if err == nil {
		_, err = request.Check()
	}
	return err
}

// TestWrittenArgsAreAccepted checks that get-token takes whatever convert-kubeconfig and kubeconfig
// write, for every method, whatever they are made from: both refuse, or leave out, what get-token
// would refuse.
func TestWrittenArgsAreAccepted(t *testing.T) {
	for _, field := range flags.GetTokenFields() {
		flag := field.Tag.Get("name")
		if flag != "" && flag != "login" && !flags.IsBool(flag) && writtenValues[flag] == nil {
			t.Errorf("writtenValues has no values of --%s", flag)
		}
	}
	stderr := os.Stderr // thousands of warnings about flags that a method does not use
	defer func() { os.Stderr = stderr }()
	var err error
	if os.Stderr, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Stderr.Close()
	r := rand.New(rand.NewPCG(17, 4))
	written := map[string]int{}
	for i := range 60 * len(token.Methods) {
		login := token.MethodNames()[i%len(token.Methods)]
		existing, explicit := writtenFlags(r), writtenFlags(r)
		if r.IntN(4) > 0 {
			existing["login"] = token.MethodNames()[r.IntN(len(token.Methods))]
		}
		user := writtenUser(r, existing)
		for command, args := range map[string][]string{
			"convert":    convertedArgs(t, login, explicit, user),
			"kubeconfig": kubeconfigArgs(t, login, explicit, existing),
		} {
			if args == nil {
				continue
			}
			written[command+" "+login]++
			if err := takesArgs(args); err != nil {
				t.Fatalf("%s wrote %q, which get-token refuses: %v\nfrom %v\nand %v", command, args, err, user, explicit)
			}
		}
	}
	for _, login := range token.MethodNames() {
		for _, command := range []string{"convert", "kubeconfig"} {
			if written[command+" "+login] < 5 {
				t.Errorf("%s wrote only %d for %s", command, written[command+" "+login], login)
			}
		}
	}
}

// convertedArgs returns the args that convert-kubeconfig writes, nil if it refuses.
func convertedArgs(t *testing.T, login string, explicit flags.Values, user map[string]any) []string {
	t.Helper()
	source, err := yaml.Marshal(map[string]any{"users": []any{map[string]any{"name": "u", "user": user}}})
	if err != nil {
		t.Fatal(err)
	}
	file, err := kubeconfig.Parse("config", source)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"convert-kubeconfig", "--login=" + login}
	for flag, value := range explicit {
		args = append(args, "--"+flag+"="+value)
	}
	var g grammar
	line, err := flags.Parse(args, &g)
	if err != nil {
		t.Fatal(err)
	}
	if login, err = g.Convert.chooseLogin(line); err != nil {
		return nil
	}
	c := &stanza.Converter{Options: stanza.Options{Login: login, Flags: line.Values()}}
	done, err := c.Convert(file, nil)
	if err != nil || bytes.Equal(done.Content, source) {
		return nil
	}
	if file, err = kubeconfig.Parse("config", done.Content); err != nil {
		t.Fatal(err)
	}
	return file.Users[0].Exec.Args
}

// kubeconfigArgs returns the args that kubeconfig writes, nil if it refuses.
func kubeconfigArgs(t *testing.T, login string, explicit, existing flags.Values) []string {
	t.Helper()
	args := []string{"kubeconfig", "--login=" + login}
	for flag, value := range explicit {
		args = append(args, "--"+flag+"="+value)
	}
	var g grammar
	line, err := flags.Parse(args, &g)
	if err != nil {
		t.Fatal(err)
	}
	m, err := g.Kubeconfig.loginMethod(line)
	if err != nil {
		return nil
	}
	e, err := g.Kubeconfig.execConfig(line, m, clusterSource{args: existing})
	if err != nil {
		return nil
	}
	return e.Args
}
