package flags

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
)

const description = "An exec credential plugin for AKS: gets a cluster's token from Microsoft Entra ID, with a federated token or any other login method, and caches it encrypted."

// ExitStatuses are the exit statuses of get-token besides 0.
var ExitStatuses = []struct {
	Status int
	About  string
}{
	{token.ExitLoginFailed, "the login failed"},
	{token.ExitUsage, "wrong usage"},
	{token.ExitSignInNeeded, "a person has to sign in and nobody can be asked"},
}

// helpHint returns a hint that names the help of a command, given by the words that run it; "" is
// no command.
func helpHint(command string) string {
	if command == "" {
		return strings.ReplaceAll("{program} --help lists commands, {program} get-token --help its flags", "{program}", process.Name())
	}
	return process.Name() + " " + command + " --help lists its flags"
}

// withHelp adds a hint that names the command's help to a wrong usage without a hint. If the hint
// is a question, as from [token.DidYouMean], the help's hint follows it.
func withHelp(err error, command string) error {
	var usage *token.UsageError
	if !errors.As(err, &usage) || usage.Hint != "" && !strings.HasSuffix(usage.Hint, "?") {
		return err
	}
	hint := strings.TrimSpace(usage.Hint + " " + helpHint(command))
	return &token.UsageError{Text: usage.Text, Hint: hint}
}

var flagGroups = []kong.Group{
	{Key: "cluster", Title: "Cluster, one way to it:"},
	{Key: "kubeconfig", Title: "Kubeconfig:"},
	{Key: "login", Title: "Login:"},
	{Key: "workloadidentity", Title: "Login with a federated token (workloadidentity):"},
	{Key: "methods", Title: "Other login methods:"},
	{Key: "cache", Title: "Cache:"},
	{Key: "general", Title: "General:"},
}

// VariableGroup is a group of variables and what they are for.
type VariableGroup struct {
	Names []string
	About string
}

// VariablesWithoutFlag returns the variables that get-token reads besides those in the flags' tags.
// README.md's table is made from it.
func VariablesWithoutFlag() []VariableGroup {
	groups := otherVariables
	for _, c := range token.CISystems() {
		groups = append(slices.Clip(groups), VariableGroup{c.Variables, c.Name + ", where a job gets federated tokens"})
	}
	return groups
}

var otherVariables = []VariableGroup{
	{[]string{"KUBERNETES_EXEC_INFO"}, "the client's request: the version of the answer, v1 or v1beta1, and the cluster's config"},
	{[]string{"AZURE_KUBERNETES_TOKEN_PROXY", "AZURE_KUBERNETES_SNI_NAME", "AZURE_KUBERNETES_CA_FILE", "AZURE_KUBERNETES_CA_DATA"}, "AKS identity bindings"},
	{[]string{"AZURE_REGIONAL_AUTHORITY_NAME", "MSAL_FORCE_REGION"}, "a regional address of Entra ID, by the region's name"},
	{[]string{"SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"}, "Azure Pipelines"},
	{[]string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "MSI_ENDPOINT", "MSI_SECRET", "DEFAULT_IDENTITY_CLIENT_ID", "IMDS_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"},
		"managed identities outside virtual machines"},
	{[]string{"AZURE_CONFIG_DIR", "AZURE_CLOUD_NAME", "AZURE_SUBSCRIPTION_ID", "AZD_CONFIG_DIR", "AZD_AUTH_ENDPOINT"}, "configuration of az and azd: who is signed in, and where"},
	{[]string{"BROWSER"}, "the browser that interactive opens"},
	{[]string{"AKSLOGIN_WARM_START"}, "off: do not print the stored answer of an earlier run; for troubleshooting"},
	{[]string{"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}, "proxy and TLS settings"},
}

// printHelp is kong's, with text about login methods before the flags of get-token. It makes that
// text only when somebody asks for help.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if node := ctx.Selected(); node != nil && node.Name == "get-token" {
		node.Detail = loginHelp()
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

func loginHelp() string {
	var help strings.Builder
	help.WriteString("Login methods, and what they need:\n\n")
	for _, m := range token.Methods {
		fmt.Fprintf(&help, "    %s\n      %s\n", m.Name, strings.ReplaceAll(m.About, "`", ""))
		if len(m.Required) > 0 {
			needs := strings.ReplaceAll(strings.Join(m.Required, ", --"), "|", " or --")
			fmt.Fprintf(&help, "      needs --%s\n", needs)
		}
	}
	help.WriteString("\nA variable marked ! overrides the flag; the flag overrides the others. An empty variable counts as unset. " +
		"A cluster's config overrides those others, and the flag overrides it. The config is " +
		"the extension " + ClusterConfigExtension + " of the kubeconfig's cluster, under provideClusterInfo: true. " +
		"It sets " + strings.Join(clusterSettings, ", ") + ". " +
		"Besides the variables named with the flags, these are read:\n\n")
	for _, v := range VariablesWithoutFlag() {
		fmt.Fprintf(&help, "    %s\n      %s\n", strings.Join(v.Names, " "), v.About)
	}
	help.WriteString("\nExit status: ")
	for i, s := range ExitStatuses {
		if i > 0 {
			help.WriteString(", ")
		}
		fmt.Fprint(&help, s.Status, " ", s.About)
	}
	help.WriteByte('.')
	return help.String()
}

// fill replaces the placeholders of a help text. kong's own interpolation would run at every start.
func fill(help string) string {
	var ciSystems []string
	for _, c := range token.CISystems() {
		ciSystems = append(ciSystems, c.Name)
	}
	return strings.NewReplacer(
		"{methods}", strings.Join(token.MethodNames(), ", "),
		"{pop}", strings.Join(token.MethodsWith("pop-enabled"), ", "),
		"{environments}", strings.Join(token.EnvironmentNames(), ", "),
		"{token_file}", token.WellKnownTokenFile,
		"{ci_systems}", strings.Join(ciSystems, ", "),
		"{program}", process.Name(),
	).Replace(help)
}

// About returns what a flag is for.
func About(flag *kong.Value) string { return fill(flag.Help) }

// Default returns the value that a flag has if it is not given, "" if there is none.
func Default(flag *kong.Value) string { return fill(flag.Tag.Get("otherwise")) }

// FlagHelp returns a flag's help, followed by the variables that it is read from and its default.
func FlagHelp(flag *kong.Value) string {
	help := About(flag)
	var notes []string
	for _, v := range token.Variables(flag.Tag.Get) {
		note := "$" + v.Name
		if v.Overrides {
			note += "!"
		}
		if v.AzureRM {
			note += " under --use-azurerm-env-vars"
		}
		if v.Method != "" {
			note += " for " + v.Method
		}
		notes = append(notes, note)
	}
	if otherwise := Default(flag); otherwise != "" {
		notes = append(notes, "default "+otherwise)
	}
	if len(notes) == 0 {
		return help
	}
	return help + " (" + strings.Join(notes, ", ") + ")"
}
