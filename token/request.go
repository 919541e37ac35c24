package token

import (
	"reflect"
	"strings"
	"time"
)

// Request says which token is wanted and how to log in. Each field is a flag of the command line.
// Its tags are the flag's name and help, and:
//
//	overrides  variables that override the flag, because they are for this kind of program
//	azurerm    the same, read only with --use-azurerm-env-vars
//	ambient    variables of the Azure SDKs, which the flag overrides
//	otherwise  the default
//	secret     the value is never shown
//	names      the value is the name of a variable that holds a secret; so are its variables
//
// Of the variables in a tag, the first that is set counts. "METHOD:VARIABLE" counts for one login
// method only.
//
// Programs that fill in a Request themselves need Login, ClientID and TenantID, and rarely more.
type Request struct {
	Login       string `name:"login" short:"l" group:"login" placeholder:"METHOD" overrides:"AAD_LOGIN_METHOD" help:"Login method: {methods}. For a list, such as workloadidentity,azurecli, the first method that has what it needs on this machine is used. Without the flag it is workloadidentity where a federated token is found, else devicecode."`
	TenantID    string `name:"tenant-id" short:"t" group:"login" placeholder:"ID" azurerm:"ARM_TENANT_ID" ambient:"AZURE_TENANT_ID,azurepipelines:AZURESUBSCRIPTION_TENANT_ID" help:"Entra tenant: its ID or one of its domain names."`
	ClientID    string `name:"client-id" group:"login" placeholder:"ID" azurerm:"ARM_CLIENT_ID" overrides:"AAD_SERVICE_PRINCIPAL_CLIENT_ID" ambient:"AZURE_CLIENT_ID,azurepipelines:AZURESUBSCRIPTION_CLIENT_ID" help:"Client ID of the managed identity or application to log in as."`
	ServerID    string `name:"server-id" group:"login" placeholder:"ID" overrides:"AAD_SERVER_APPLICATION_ID" otherwise:"6dae42f8-4368-4678-94ff-3960e28e3630" help:"Application that the token is for: the cluster's audience. It is the same for all AKS clusters."`
	Environment string `name:"environment" short:"e" group:"login" placeholder:"CLOUD" overrides:"AAD_ENVIRONMENT_NAME" otherwise:"AzurePublicCloud" help:"Azure cloud: {environments}."`

	FederatedTokenFile string `name:"federated-token-file" group:"workloadidentity" placeholder:"FILE" azurerm:"ARM_OIDC_TOKEN_FILE_PATH" ambient:"AZURE_FEDERATED_TOKEN_FILE" help:"File with the federated token. Without it: the token of a CI job that may ask for one ({ci_systems}), else {token_file}."`
	FederatedTokenEnv  string `name:"federated-token-env" names:"secret" group:"workloadidentity" placeholder:"NAME" azurerm:"ARM_OIDC_TOKEN" help:"Name of the variable that holds the federated token, instead of a file. Examples: GitLab's id_tokens, Azure Pipelines' idToken, HCP Terraform's TFC_WORKLOAD_IDENTITY_TOKEN."`
	AzureTokenProxy    string `name:"azure-token-proxy" group:"workloadidentity" placeholder:"auto|on|off" otherwise:"auto" help:"Send requests through the cluster's token proxy (AKS identity bindings): auto does so if AZURE_KUBERNETES_TOKEN_PROXY names one."`
	AuthorityHost      string `name:"authority-host" group:"login" placeholder:"URL" ambient:"AZURE_AUTHORITY_HOST" help:"Entra ID's address, https://HOST/, if it differs from the environment's."`

	DisableInstanceDiscovery bool `name:"disable-instance-discovery" group:"login" help:"Trust an --authority-host that Microsoft does not know, as in a private cloud, without asking Microsoft about it."`

	ClientSecret                      string `name:"client-secret" secret:"true" group:"methods" placeholder:"SECRET" azurerm:"ARM_CLIENT_SECRET" overrides:"AAD_SERVICE_PRINCIPAL_CLIENT_SECRET" ambient:"AZURE_CLIENT_SECRET" help:"spn: the application's secret. Use a variable instead where possible."`
	ClientCertificate                 string `name:"client-certificate" group:"methods" placeholder:"FILE" azurerm:"ARM_CLIENT_CERTIFICATE_PATH" overrides:"AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE" ambient:"AZURE_CLIENT_CERTIFICATE_PATH" help:"spn: file with the application's certificate and its key, PEM or PFX. Overrides a secret."`
	ClientCertificatePassword         string `name:"client-certificate-password" secret:"true" group:"methods" placeholder:"PASSWORD" azurerm:"ARM_CLIENT_CERTIFICATE_PASSWORD" overrides:"AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD" ambient:"AZURE_CLIENT_CERTIFICATE_PASSWORD" help:"spn: password of a PFX file."`
	Username                          string `name:"username" group:"methods" placeholder:"NAME" overrides:"AAD_USER_PRINCIPAL_NAME" ambient:"AZURE_USERNAME" help:"ropc: user name."`
	Password                          string `name:"password" secret:"true" group:"methods" placeholder:"PASSWORD" overrides:"AAD_USER_PRINCIPAL_PASSWORD" ambient:"AZURE_PASSWORD" help:"ropc: password. Use a variable instead where possible."`
	IdentityResourceID                string `name:"identity-resource-id" group:"methods" placeholder:"ID" help:"msi: resource ID of the managed identity, instead of its client ID. Without either, the system-assigned identity is used."`
	ViaClientID                       string `name:"via-client-id" group:"methods" placeholder:"ID" ambient:"AKSLOGIN_VIA_CLIENT_ID" help:"federatedmsi: client ID of the user-assigned managed identity whose token is the credential of the application --client-id."`
	Subscription                      string `name:"subscription" short:"s" group:"methods" placeholder:"ID" help:"azurecli: subscription, by ID or name."`
	AzurePipelinesServiceConnectionID string `name:"azure-pipelines-service-connection-id" group:"methods" placeholder:"ID" azurerm:"ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID,ARM_OIDC_AZURE_SERVICE_CONNECTION_ID" ambient:"AZURESUBSCRIPTION_SERVICE_CONNECTION_ID" help:"azurepipelines: resource ID of the service connection."`
	LoginHint                         string `name:"login-hint" group:"methods" placeholder:"NAME" help:"interactive: user name that the sign-in page suggests."`
	RedirectURL                       string `name:"redirect-url" group:"methods" placeholder:"URL" help:"interactive: address that the browser returns to, http://localhost:PORT. By default, any free port."`
	Prompt                            string `name:"prompt" group:"methods" placeholder:"auto|always|never" otherwise:"auto" help:"devicecode, interactive: ask a person to sign in. auto asks if the client allows it, if standard error is a terminal, or if there is a display outside CI."`
	PoPEnabled                        bool   `name:"pop-enabled" group:"methods" overrides:"AAD_IS_POP_TOKEN_ENABLED" help:"Ask for a proof-of-possession token (Azure Arc) instead of a bearer token: with {pop}."`
	PoPClaims                         string `name:"pop-claims" group:"methods" placeholder:"KEY=VALUE,..." overrides:"AAD_POP_TOKEN_CLAIMS" help:"Claims of the proof-of-possession token. u=ARM_ID of the cluster is required."`
	Legacy                            bool   `name:"legacy" group:"methods" help:"Requested the kind of token that AKS needed until 2023. It is refused, or ignored by methods that do not use it."`

	Timeout                    time.Duration `name:"timeout" group:"general" placeholder:"TIME" ambient:"AZURE_CLI_TIMEOUT" otherwise:"1m0s" help:"Overall timeout; by default ten minutes if a person may have to sign in."`
	UseAzureRMEnvVars          bool          `name:"use-azurerm-env-vars" group:"general" help:"Also read the variables of Terraform's Azure provider (ARM_*). They override others."`
	DisableEnvironmentOverride bool          `name:"disable-environment-override" group:"general" help:"Ignore the variables that override a flag (AAD_*, ARM_*)."`

	// Cluster holds the values in the cluster's configuration in a kubeconfig, by flag name. They
	// override ambient variables. Flags, and variables that override flags, override them.
	Cluster map[string]string `kong:"-"`

	// From is the source of each value, by flag name: "--client-id", "$AZURE_CLIENT_ID",
	// [FromCluster] or "the default".
	From map[string]string `kong:"-"`

	// pipes is the content of files that were read, by path. A diagnosis reads a secret several
	// times, and a pipe can be read once. It is nil outside of a diagnosis.
	pipes map[string][]byte

	isFirstHop bool // its token is the assertion of another request: see federatedManagedIdentity

	loginOrder    string   // the list of logins from which Login was chosen; "": there was one
	skippedLogins []string // those before it, each with what it lacks
	otherLogins   []Method // all but Login

	publicClientGiven bool // the value PublicClientID was ignored for ClientID
}

const (
	// WellKnownTokenFile is where the Azure workload identity webhook mounts the federated token.
	// https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html
	WellKnownTokenFile = "/var/run/secrets/azure/tokens/azure-identity-token"

	// PublicClientID is the client ID that `az aks get-credentials` writes into every kubeconfig: a
	// public client for people. It never belongs to a workload or a service principal.
	PublicClientID = "80faf920-1908-4b52-b5ef-a8e7bedfc67a"

	// FromCluster is the value in Request.From for one of Request.Cluster.
	FromCluster = "the cluster's config"

	// PromptAlways and PromptNever are values of Request.Prompt. The third is auto.
	PromptAlways = "always"
	PromptNever  = "never"

	// fromDefault is the value in Request.From for a default.
	fromDefault = "the default"
)

// flagTag returns the tags of a flag's field.
func flagTag(flag string) reflect.StructTag {
	field, _ := reflect.TypeFor[Request]().FieldByName(flagFieldName(flag))
	return field.Tag
}

// sourceNote returns the source of a flag's value in parentheses, with a space before, or "" if it
// is unknown.
func (r Request) sourceNote(flag string) string {
	if r.From[flag] == "" {
		return ""
	}
	return " (" + r.From[flag] + ")"
}

// isSecretFlag reports whether a flag's value is never shown.
func isSecretFlag(flag string) bool { return flagTag(flag).Get("secret") != "" }

// audience returns the application that the token is for. A server ID may also be given as a scope,
// as in kubelogin: with "/.default" at its end.
func (r Request) audience() string {
	id := strings.TrimSuffix(strings.TrimRight(r.ServerID, "/"), "/.default")
	if id = strings.TrimRight(id, "/"); id != "" {
		return id
	}
	return flagTag("server-id").Get("otherwise")
}

// flagValue returns the value of a flag's field.
func (r Request) flagValue(flag string) any {
	return reflect.ValueOf(r).FieldByName(flagFieldName(flag)).Interface()
}

// flagFieldName returns the name of a flag's field. It panics if there is no such flag: a test
// checks the names in the methods' tables.
func flagFieldName(flag string) string {
	t := reflect.TypeFor[Request]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("name") == flag {
			return t.Field(i).Name
		}
	}
	panic("no flag --" + flag)
}
