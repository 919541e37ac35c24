package token

import (
	"reflect"
	"slices"
	"strings"
	"time"

	_ "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm/runtime"
)

// Request says which token is wanted and how to log in. Each field is a flag of the command line,
// once: its tags are the flag's name and help and the variables that it is also read from, in the
// order in which they count:
//
//	overrides  made for this kind of program, and stronger than the flag
//	azurerm    the same, under --use-azurerm-env-vars
//	ambient    the Azure SDKs' own, weaker than the flag; "method:VARIABLE" counts for that method only
//	otherwise  the default
//	secret     its value is not shown
//
// Programs that fill a Request themselves need Login, ClientID and TenantID, and mostly no more.
type Request struct {
	Login       string `name:"login" short:"l" group:"login" placeholder:"METHOD" overrides:"AAD_LOGIN_METHOD" help:"Login method: {methods}. Without the flag it is workloadidentity where a federated token is found, else devicecode."`
	TenantID    string `name:"tenant-id" short:"t" group:"login" placeholder:"ID" azurerm:"ARM_TENANT_ID" ambient:"AZURE_TENANT_ID,azurepipelines:AZURESUBSCRIPTION_TENANT_ID" help:"Entra tenant: its ID or one of its domain names."`
	ClientID    string `name:"client-id" group:"login" placeholder:"ID" azurerm:"ARM_CLIENT_ID" overrides:"AAD_SERVICE_PRINCIPAL_CLIENT_ID" ambient:"AZURE_CLIENT_ID,azurepipelines:AZURESUBSCRIPTION_CLIENT_ID" help:"Client ID of the managed identity or application to log in as."`
	ServerID    string `name:"server-id" group:"login" placeholder:"ID" otherwise:"6dae42f8-4368-4678-94ff-3960e28e3630" help:"Application that the token is for: the cluster's audience. AKS has the same one everywhere."`
	Environment string `name:"environment" short:"e" group:"login" placeholder:"CLOUD" otherwise:"AzurePublicCloud" help:"Azure cloud: {environments}."`

	FederatedTokenFile string `name:"federated-token-file" group:"workloadidentity" placeholder:"FILE" ambient:"AZURE_FEDERATED_TOKEN_FILE" help:"File with the federated token. Where none is named: GitHub Actions' token if the job may ask for one, else {token_file}."`
	AzureTokenProxy    string `name:"azure-token-proxy" group:"workloadidentity" placeholder:"auto|on|off" otherwise:"auto" help:"Ask through the cluster's token proxy (AKS identity bindings): auto means where AZURE_KUBERNETES_TOKEN_PROXY names one."`
	AuthorityHost      string `name:"authority-host" group:"login" placeholder:"URL" ambient:"AZURE_AUTHORITY_HOST" help:"Entra ID's address where it is not the environment's, https://HOST/."`

	DisableInstanceDiscovery bool `name:"disable-instance-discovery" group:"login" help:"Trust an --authority-host that Microsoft does not know, as in a private cloud, without asking Microsoft about it."`

	ClientSecret                      string `name:"client-secret" secret:"true" group:"methods" placeholder:"SECRET" azurerm:"ARM_CLIENT_SECRET" overrides:"AAD_SERVICE_PRINCIPAL_CLIENT_SECRET" ambient:"AZURE_CLIENT_SECRET" help:"spn: the application's secret. Better given in a variable."`
	ClientCertificate                 string `name:"client-certificate" group:"methods" placeholder:"FILE" azurerm:"ARM_CLIENT_CERTIFICATE_PATH" overrides:"AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE" ambient:"AZURE_CLIENT_CERTIFICATE_PATH" help:"spn: file with the application's certificate and its key, PEM or PFX. Wins over a secret."`
	ClientCertificatePassword         string `name:"client-certificate-password" secret:"true" group:"methods" placeholder:"PASSWORD" azurerm:"ARM_CLIENT_CERTIFICATE_PASSWORD" overrides:"AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD" ambient:"AZURE_CLIENT_CERTIFICATE_PASSWORD" help:"spn: password of a PFX file."`
	Username                          string `name:"username" group:"methods" placeholder:"NAME" overrides:"AAD_USER_PRINCIPAL_NAME" ambient:"AZURE_USERNAME" help:"ropc: user name."`
	Password                          string `name:"password" secret:"true" group:"methods" placeholder:"PASSWORD" overrides:"AAD_USER_PRINCIPAL_PASSWORD" ambient:"AZURE_PASSWORD" help:"ropc: password. Better given in a variable."`
	IdentityResourceID                string `name:"identity-resource-id" group:"methods" placeholder:"ID" help:"msi: resource ID of the managed identity, instead of its client ID. Without either it is the system-assigned one."`
	Subscription                      string `name:"subscription" short:"s" group:"methods" placeholder:"ID" help:"azurecli: subscription, by ID or name."`
	AzurePipelinesServiceConnectionID string `name:"azure-pipelines-service-connection-id" group:"methods" placeholder:"ID" ambient:"AZURESUBSCRIPTION_SERVICE_CONNECTION_ID" help:"azurepipelines: resource ID of the service connection."`
	LoginHint                         string `name:"login-hint" group:"methods" placeholder:"NAME" help:"interactive: user name to begin with."`
	RedirectURL                       string `name:"redirect-url" group:"methods" placeholder:"URL" help:"interactive: where the browser comes back to, http://localhost:PORT. Any free port without it."`
	PoPEnabled                        bool   `name:"pop-enabled" group:"methods" help:"Ask for a proof-of-possession token (Azure Arc) instead of a bearer token: with {pop}."`
	PoPClaims                         string `name:"pop-claims" group:"methods" placeholder:"KEY=VALUE,..." help:"Claims of the proof-of-possession token; u=ARM_ID of the cluster at least."`
	Legacy                            bool   `name:"legacy" group:"methods" help:"Refused, or ignored where it never meant anything: it asked for what AKS wanted until 2023."`

	Timeout                    time.Duration `name:"timeout" group:"general" placeholder:"TIME" ambient:"AZURE_CLI_TIMEOUT" otherwise:"1m0s" help:"Time for the whole run; ten minutes if nobody says otherwise where a person may have to sign in."`
	UseAzureRMEnvVars          bool          `name:"use-azurerm-env-vars" group:"general" help:"Read the variables of Terraform's Azure provider (ARM_*) too, before others."`
	DisableEnvironmentOverride bool          `name:"disable-environment-override" group:"general" help:"Do not read the variables that would win over a flag (AAD_*, ARM_*)."`

	// From says where a value came from, by flag name: "--client-id", "$AZURE_CLIENT_ID" or "the
	// default".
	From map[string]string `kong:"-"`

	publicClientGiven bool // the public client ID was given, and counts as none
}

const (
	// WellKnownTokenFile is where the Azure workload identity webhook mounts the federated token.
	// https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html
	WellKnownTokenFile = "/var/run/secrets/azure/tokens/azure-identity-token"

	// fromDefault is where a value came from that nobody gave.
	fromDefault = "the default"

	// PublicClientID is the client ID that `az aks get-credentials` writes into every kubeconfig: a
	// public client for people, which never is a workload's or a service principal's own.
	PublicClientID = "80faf920-1908-4b52-b5ef-a8e7bedfc67a"
)

// setExplicitly tells whether somebody wrote the value of a flag down for this kind of program.
// Otherwise it was just in the air, or is the default.
func (r Request) setExplicitly(flag string) bool {
	name, variable := strings.CutPrefix(r.From[flag], "$")
	if !variable {
		return r.From[flag] != fromDefault
	}
	return slices.ContainsFunc(
		flagVariables(flag),
		func(v Variable) bool { return v.Name == name && v.Overrides },
	)
}

func flagTag(flag string) reflect.StructTag {
	field, _ := reflect.TypeFor[Request]().FieldByName(flagFieldName(flag))
	return field.Tag
}

// sourceNote is where a value came from, in brackets for a sentence, or "" where nobody knows.
func (r Request) sourceNote(flag string) string {
	if r.From[flag] == "" {
		return ""
	}
	return " (" + r.From[flag] + ")"
}

// isSecretFlag tells whether a flag's value is not shown.
func isSecretFlag(flag string) bool { return flagTag(flag).Get("secret") != "" }

// audience is the application that the token is for. Like kubelogin's, a server ID may be written
// as the scope that it becomes.
func (r Request) audience() string {
	if id := strings.TrimRight(
		strings.TrimSuffix(strings.TrimRight(r.ServerID, "/"), "/.default"),
		"/",
	); id != "" {
		return id
	}
	return flagTag("server-id").Get("otherwise")
}

// flagValue is a flag's.
func (r Request) flagValue(flag string) any {
	return reflect.ValueOf(r).FieldByName(flagFieldName(flag)).Interface()
}

// flagFieldName is the name of the field that carries a flag.
func flagFieldName(flag string) string {
	t := reflect.TypeFor[Request]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("name") == flag {
			return t.Field(i).Name
		}
	}
	panic("no flag --" + flag) // a method's table names one that is not there; a test looks at all
}
