package token

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	_ "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm/runtime" // writes Azure Resource Manager's addresses into the clouds' configurations
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
)

// Request says which token is wanted and how to log in. Each field is a flag of the command line, once: its tags are the
// flag's name and help and the variables that it is also read from, in the order in which they count:
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

	// From says where a value came from, by flag name: "--client-id", "$AZURE_CLIENT_ID" or "the default".
	From map[string]string `kong:"-"`

	publicGiven bool // the public client ID was given, and counts as none
}

const (
	// WellKnownTokenFile is where the Azure workload identity webhook mounts the federated token.
	// https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html
	WellKnownTokenFile = "/var/run/secrets/azure/tokens/azure-identity-token"

	// theDefault is where a value came from that nobody gave.
	theDefault = "the default"

	// PublicClient is the client ID that `az aks get-credentials` writes into every kubeconfig: a public client for
	// people, which never is a workload's or a service principal's own.
	PublicClient = "80faf920-1908-4b52-b5ef-a8e7bedfc67a"
)

// environment is an Azure cloud by its names in --environment (any case).
type environment struct {
	names               []string
	cloud.Configuration          // addresses: the Azure SDK's, as kubelogin's were, so firewalls are open for them
	hosts               []string // all of Entra ID's own
	exchange            string   // audience of a federated token that is to be exchanged there
}

// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations (audiences)
// https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/440 (hosts)
var environments = []environment{
	{[]string{"AzurePublicCloud", "AzurePublic", "AzureCloud"}, cloud.AzurePublic,
		[]string{"login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net"}, "api://AzureADTokenExchange"},
	{[]string{"AzureUSGovernmentCloud", "AzureUSGovernment"}, cloud.AzureGovernment,
		[]string{"login.microsoftonline.us", "login-us.microsoftonline.com"}, "api://AzureADTokenExchangeUSGov"},
	{[]string{"AzureChinaCloud"}, cloud.AzureChina,
		[]string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"}, "api://AzureADTokenExchangeChina"},
}

// environmentAt is the cloud whose Entra ID answers at an https://HOST/; known is false where that is no cloud's of the table.
func environmentAt(authority string) (e environment, known bool) {
	host := strings.TrimSuffix(strings.TrimPrefix(authority, "https://"), "/")
	i := slices.IndexFunc(environments, func(e environment) bool { return slices.Contains(e.hosts, host) })
	if i < 0 {
		return environment{}, false
	}
	return environments[i], true
}

// Environments returns the clouds by the first of their names.
func Environments() []string {
	var names []string
	for _, c := range environments {
		names = append(names, c.names[0])
	}
	return names
}

// Variable is an environment variable that a flag is read from, besides the command line.
type Variable struct {
	Name      string
	Overrides bool   // it wins over the flag
	AzureRM   bool   // only under --use-azurerm-env-vars
	Method    string // only for this login method, when not empty
}

// Variables returns the variables named in a flag's tags, in the order in which they count.
func Variables(tag func(key string) string) []Variable {
	var vars []Variable
	for _, class := range []Variable{{AzureRM: true, Overrides: true}, {Overrides: true}, {}} {
		key := "ambient"
		if class.AzureRM {
			key = "azurerm"
		} else if class.Overrides {
			key = "overrides"
		}
		for name := range strings.SplitSeq(tag(key), ",") {
			if name == "" {
				continue
			}
			v := class
			v.Name = name
			if method, rest, found := strings.Cut(name, ":"); found {
				v.Method, v.Name = method, rest
			}
			vars = append(vars, v)
		}
	}
	return vars
}

// Resolve completes a request that was typed: typed tells which flags were given by the person, whose values the
// request holds; getenv reads the environment. It returns the request with every value and where that came
// from, and chooses the login method where none was named. An empty variable is an unset one.
func (r Request) Resolve(typed func(flag string) bool, getenv func(string) string) (Request, error) {
	r.From = map[string]string{}
	// The method comes first: which variables count depends on it, and it on the token file's.
	for _, only := range []string{"login", "federated-token-file", ""} {
		if err := r.fill(only, typed, getenv); err != nil {
			return r, err
		}
		if only == "federated-token-file" && r.Login == "" {
			r.Login, r.From["login"] = r.guess(getenv), theDefault
		}
	}
	if m, known := method(r.Login); known && m.Asks && r.From["timeout"] == theDefault {
		r.Timeout = personPatience
	}
	// An authority host that is just in the air yields to an environment that somebody wrote down
	// (https://github.com/Azure/kubelogin/issues/507).
	if r.From["environment"] == "--environment" && strings.HasPrefix(r.From["authority-host"], "$") {
		r.AuthorityHost = ""
		r.From["authority-host"] += ", ignored because of --environment"
	}
	return r, nil
}

func (r Request) guess(getenv func(string) string) string {
	_, err := os.Stat(WellKnownTokenFile)
	if r.FederatedTokenFile != "" || onGitHub(getenv) || err == nil {
		return workloadIdentityName
	}
	return "devicecode"
}

// fill sets the flag named only, or all of them where that is "".
func (r *Request) fill(only string, typed func(string) bool, getenv func(string) string) error {
	fields := reflect.ValueOf(r).Elem()
	for i := range fields.NumField() {
		tag := fields.Type().Field(i).Tag
		flag := tag.Get("name")
		if flag == "" || r.From[flag] != "" || (only != "" && only != flag) {
			continue
		}
		value, from := r.choose(flag, tag, fields.Field(i), typed, getenv)
		if from == "" {
			fields.Field(i).SetZero()
			continue
		}
		r.From[flag] = from
		if from == "--"+flag {
			continue
		}
		if err := set(fields.Field(i), value); err != nil {
			return &UsageError{Text: fmt.Sprintf("%v (%s)", err, from), Hint: "correct or unset it, or give --" + flag}
		}
	}
	return nil
}

// choose returns the strongest source of a flag's value that has one. from is "" where there is none.
func (r *Request) choose(flag string, tag reflect.StructTag, field reflect.Value, typed func(string) bool, getenv func(string) string) (value, from string) {
	counts := func(value string) bool {
		if flag == "client-id" && strings.EqualFold(value, PublicClient) && r.needsOwnClient() {
			r.publicGiven = true
			return false
		}
		return value != ""
	}
	variables := Variables(tag.Get)
	lookup := func(overriding bool) (string, string) {
		for _, v := range variables {
			if v.Overrides == overriding && r.reads(v) {
				if value := getenv(v.Name); counts(value) {
					return value, "$" + v.Name
				}
			}
		}
		return "", ""
	}
	if value, from = lookup(true); from != "" {
		return value, from
	}
	if typed(flag) && (field.Kind() != reflect.String || counts(field.String())) {
		return "", "--" + flag
	}
	if value, from = lookup(false); from != "" {
		return value, from
	}
	if value = tag.Get("otherwise"); value != "" {
		return value, theDefault
	}
	return "", ""
}

// reads tells whether a variable counts for this request.
func (r *Request) reads(v Variable) bool {
	return (!v.Overrides || !r.DisableEnvironmentOverride) && (!v.AzureRM || r.UseAzureRMEnvVars) && (v.Method == "" || v.Method == r.Login)
}

func (r *Request) needsOwnClient() bool {
	m, known := method(r.Login)
	return known && m.owns("client-id")
}

func set(field reflect.Value, value string) error {
	if field.Kind() == reflect.String {
		field.SetString(value)
		return nil
	}
	d, err := ParseTime(value)
	field.Set(reflect.ValueOf(d))
	return err
}

// ParseTime reads a length of time as Go writes them, for a person who may not know how.
func ParseTime(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%q is not a length of time: it needs a number and a unit, as 90s or 2m", value)
	}
	return d, nil
}

// written tells whether somebody wrote the value of a flag down for this kind of program. Otherwise it was just in the air, or is the default.
func (r Request) written(flag string) bool {
	name, variable := strings.CutPrefix(r.From[flag], "$")
	if !variable {
		return r.From[flag] != theDefault
	}
	return slices.ContainsFunc(variablesOf(flag), func(v Variable) bool { return v.Name == name && v.Overrides })
}

// variablesOf are the variables that a flag is read from.
func variablesOf(flag string) []Variable { return Variables(tagOf(flag).Get) }

func tagOf(flag string) reflect.StructTag {
	field, _ := reflect.TypeFor[Request]().FieldByName(flagField(flag))
	return field.Tag
}

// from is where a value came from, in brackets for a sentence, or "" where nobody knows.
func (r Request) from(flag string) string {
	if r.From[flag] == "" {
		return ""
	}
	return " (" + r.From[flag] + ")"
}

// Check refuses, with a *UsageError, what can be known to be wrong before anything is read or sent. It returns the login method, also
// with an error, unless that is unknown.
func (r Request) Check() (Method, error) {
	m, known := method(r.Login)
	if !known {
		return m, usage("unknown login method %q%s: this program knows %s", r.Login, r.from("login"), strings.Join(MethodNames(), ", "))
	}
	return m, r.check(m, func([]string) bool { return true })
}

// CheckStanza is Check for a request that is written down to be made later, elsewhere: its secrets may be in variables there.
func (r Request) CheckStanza() error {
	m, err := r.Check()
	if m.Name == "" {
		return err
	}
	return r.check(m, func(need []string) bool { return !slices.ContainsFunc(need, isSecret) })
}

// check refuses what is wrong for a method. needed tells which of its needs count.
func (r Request) check(m Method, needed func([]string) bool) error {
	if r.Legacy && m.takes("legacy") {
		return &UsageError{
			Text: "--legacy asked for a token with the audience spn:" + r.audience() + ", for the integration of AKS with Azure AD that ended in 2023",
			Hint: "leave --legacy out: clusters of today want the token without it",
		}
	}
	for _, need := range m.Needs {
		oneOf := strings.Split(need, "|")
		if needed(oneOf) && !slices.ContainsFunc(oneOf, func(flag string) bool { return r.value(flag) != "" }) {
			return r.missing(m, oneOf)
		}
	}
	for _, check := range []func(Method) error{r.checkIDs, r.checkPoP} {
		if err := check(m); err != nil {
			return err
		}
	}
	if m.Check != nil {
		if err := m.Check(r); err != nil {
			return err
		}
	}
	if !m.asksEntra() { // where Entra ID is means nothing to it
		r.AuthorityHost, r.Environment = "", ""
	}
	return r.CheckValues()
}

// isSecret tells whether a flag's value is not shown.
func isSecret(flag string) bool { return tagOf(flag).Get("secret") != "" }

// missing says that a method needs one of the flags, and where they could have come from.
func (r Request) missing(m Method, flags []string) error {
	var sources []string
	for _, flag := range flags {
		sources = append(sources, "--"+flag)
		for _, v := range variablesOf(flag) {
			if r.reads(v) {
				sources = append(sources, "$"+v.Name)
			}
		}
	}
	if flags[0] == "client-id" && r.publicGiven {
		return &UsageError{
			Text: fmt.Sprintf("login %s needs a client ID of its own: %s is the public client that az writes into every kubeconfig", m.Name, PublicClient),
			Hint: "give the client ID of the managed identity or application in one of " + strings.Join(sources, ", "),
		}
	}
	text := fmt.Sprintf("login %s needs --%s; none of these is set: %s", m.Name, strings.Join(flags, " or --"), strings.Join(sources, ", "))
	if r.From["login"] == theDefault && m.Name != workloadIdentityName {
		return &UsageError{
			Text: "no federated token was found, and without one the login method is " + m.Name + ": " + text,
			Hint: "name the token's file with --federated-token-file or $AZURE_FEDERATED_TOKEN_FILE; the Azure workload identity webhook mounts it in a pod at " +
				WellKnownTokenFile + ". Other logins are named by --login",
		}
	}
	return &UsageError{Text: text, Hint: m.Missing}
}

// checkIDs knows the names that stand for many tenants: where a person signs in, Entra ID finds his own, and where a password is sent, below
// organizations only (https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc).
func (r Request) checkIDs(m Method) error {
	asked := strings.ToLower(r.TenantID)
	shared := slices.Contains([]string{"common", "organizations", "consumers"}, asked)
	switch {
	case shared && m.takes("tenant-id") && !m.Asks && !(m.takes("password") && asked == "organizations"):
		return usage("tenant %q%s stands for many tenants: login %s is to one, give its ID", r.TenantID, r.from("tenant-id"), m.Name)
	case r.TenantID != "" && !shared && !isTenant(r.TenantID):
		return usage("tenant %q%s is not a tenant ID and not a domain name", r.TenantID, r.from("tenant-id"))
	case r.ClientID != "" && !isID(r.ClientID, ".-_"):
		return usage("client ID %q%s is not valid: copy it from the properties of the managed identity or application", r.ClientID, r.from("client-id"))
	case !isID(r.audience(), ".-_:/"):
		return usage("server ID %q%s is not an application ID", r.ServerID, r.from("server-id"))
	}
	return nil
}

// isTenant tells whether s is a GUID or a domain name; "adfs" is what AD FS has in a tenant's place.
func isTenant(s string) bool {
	if len(s) > 253 || !plain(s, ".-") || secretive(s) {
		return false
	}
	labels := strings.Split(s, ".")
	if len(labels) == 1 {
		return IsGUID(s) || strings.EqualFold(s, "adfs")
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

// IsGUID tells whether s is a GUID as Azure writes its IDs.
func IsGUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return err == nil && len(raw) == 16
}

// isID tells whether s can be an application's ID, and is not a token that got into the wrong place.
func isID(s, more string) bool { return len(s) <= 200 && plain(s, more) && !secretive(s) }

// CheckValues refuses, with a *UsageError, values that are wrong whatever the login method is.
func (r Request) CheckValues() error {
	switch {
	case !slices.Contains([]string{"", "auto", "on", "off"}, r.AzureTokenProxy):
		return usage("--azure-token-proxy is %q: it can be auto, on or off", r.AzureTokenProxy)
	case r.Timeout < 0 || (r.Timeout == 0 && r.From["timeout"] != ""):
		return usage("timeout %s%s must be greater than zero", r.Timeout, r.from("timeout"))
	}
	_, err := r.authority()
	return err
}

// audience is the application that the token is for. Like kubelogin's, a server ID may be written as the scope that it becomes.
func (r Request) audience() string {
	if id := strings.TrimRight(strings.TrimSuffix(strings.TrimRight(r.ServerID, "/"), "/.default"), "/"); id != "" {
		return id
	}
	return tagOf("server-id").Get("otherwise")
}

// environment is the cloud named by --environment.
func (r Request) environment() (environment, error) {
	for _, c := range environments {
		for _, name := range c.names {
			if r.Environment == "" || strings.EqualFold(name, r.Environment) {
				return c, nil
			}
		}
	}
	return environment{}, usage("unknown environment %q%s: this program knows %s; any other cloud is named by its --authority-host", r.Environment, r.from("environment"), strings.Join(Environments(), ", "))
}

// authority is Entra ID's address: https, a host, and a single slash. Errors repeat no more of an address than its host: there
// may be a password in it.
func (r Request) authority() (string, error) {
	c, err := r.environment()
	if err != nil {
		return "", err
	}
	if r.AuthorityHost == "" {
		return c.ActiveDirectoryAuthorityHost, nil
	}
	u, err := url.Parse(r.AuthorityHost)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return "", usage("authority host %q%s is not an https:// address", address(r.AuthorityHost), r.from("authority-host"))
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", usage("authority host %q%s must be https://HOST/ and no more; the tenant is given by --tenant-id", address(r.AuthorityHost), r.from("authority-host"))
	}
	if !plain(u.Host, ".-:[]") {
		return "", usage("authority host %q%s has letters in it that only look like a host's: it must be in ASCII (xn--...)", address(r.AuthorityHost), r.from("authority-host"))
	}
	return "https://" + strings.TrimSuffix(strings.ToLower(u.Host), ":443") + "/", nil
}

// ResourceManager returns the request for a token of Azure Resource Manager by the same login, and Azure Resource Manager's address,
// https://HOST. The cloud is the authority's: where that is a private one's, there is no address and an error.
func (r Request) ResourceManager() (_ Request, endpoint string, err error) {
	authority, err := r.authority()
	if err != nil {
		return r, "", err
	}
	e, known := environmentAt(authority)
	if !known {
		return r, "", usage("authority host %q%s is none of %s: where Azure Resource Manager is in that cloud is not known", address(authority), r.from("authority-host"), strings.Join(Environments(), ", "))
	}
	manager := e.Services[cloud.ResourceManager]
	r.From = maps.Clone(r.From)
	if r.From == nil {
		r.From = map[string]string{}
	}
	r.ServerID, r.From["server-id"] = manager.Audience, "Azure Resource Manager"
	return r, manager.Endpoint, nil
}

// address is what may be shown of a URL: scheme and host.
func address(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host + "/"
	}
	before, _, _ := strings.Cut(raw, "@")
	if before != raw {
		return "...@..."
	}
	return raw
}

// value is a flag's.
func (r Request) value(flag string) any {
	return reflect.ValueOf(r).FieldByName(flagField(flag)).Interface()
}

// flagField is the name of the field that carries a flag.
func flagField(flag string) string {
	t := reflect.TypeFor[Request]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("name") == flag {
			return t.Field(i).Name
		}
	}
	panic("no flag --" + flag) // a method's table names one that is not there; a test looks at all
}
