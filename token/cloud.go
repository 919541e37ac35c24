package token

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	_ "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm/runtime" // adds ResourceManager to clouds
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// environment is an Azure cloud.
type environment struct {
	names []string // values of --environment, in any case; the first is the usual one

	// The addresses are the Azure SDK's. kubelogin uses the same, so firewalls allow them.
	cloud.Configuration

	hosts            []string // all hosts of Entra ID
	exchangeAudience string   // audience of a federated token for an exchange in this cloud
}

// environments are the known clouds. Sources of the hosts and of the audiences:
// https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/440
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
var environments = []environment{
	{
		[]string{"AzurePublicCloud", "AzurePublic", "AzureCloud"},
		cloud.AzurePublic,
		[]string{
			"login.microsoftonline.com",
			"login.microsoft.com",
			"login.windows.net",
			"sts.windows.net",
		},
		"api://AzureADTokenExchange",
	},
	{
		[]string{"AzureUSGovernmentCloud", "AzureUSGovernment"},
		cloud.AzureGovernment,
		[]string{"login.microsoftonline.us", "login-us.microsoftonline.com"},
		"api://AzureADTokenExchangeUSGov",
	},
	{
		[]string{"AzureChinaCloud"},
		cloud.AzureChina,
		[]string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"},
		"api://AzureADTokenExchangeChina",
	},
}

// environmentByAuthority returns the cloud to which an authority, https://HOST/, belongs. known is
// false for a private cloud.
func environmentByAuthority(authority string) (_ environment, known bool) {
	host := strings.TrimSuffix(strings.TrimPrefix(authority, "https://"), "/")
	for _, e := range environments {
		if slices.Contains(e.hosts, host) {
			return e, true
		}
	}
	return environment{}, false
}

// EnvironmentNames returns the usual names of the known clouds, which are values of
// Request.Environment.
func EnvironmentNames() []string {
	var names []string
	for _, e := range environments {
		names = append(names, e.names[0])
	}
	return names
}

// environment returns the cloud that --environment names, by default the public one.
func (r Request) environment() (environment, error) {
	if r.Environment == "" {
		return environments[0], nil
	}
	for _, e := range environments {
		for _, name := range e.names {
			if strings.EqualFold(name, r.Environment) {
				return e, nil
			}
		}
	}
	return environment{}, usageErrorf(
		"unknown environment %q%s: this program knows %s; any other cloud is named by its --authority-host",
		r.Environment, r.sourceNote("environment"), strings.Join(EnvironmentNames(), ", "),
	)
}

// authority returns Entra ID's address in the form https://HOST/. Its errors show no more of an
// address than the host, because the rest may hold a password.
func (r Request) authority() (string, error) {
	e, err := r.environment()
	if err != nil {
		return "", err
	}
	if r.AuthorityHost == "" {
		return e.ActiveDirectoryAuthorityHost, nil
	}
	shown, source := redact.URL(r.AuthorityHost), r.sourceNote("authority-host")
	u, err := url.Parse(r.AuthorityHost)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return "", usageErrorf("authority host %q%s is not an https:// address", shown, source)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", usageErrorf(
			"authority host %q%s must be only https://HOST/; give the tenant with --tenant-id",
			shown, source,
		)
	}
	if !redact.IsPlain(u.Host, ".-:[]") {
		return "", usageErrorf(
			"authority host %q%s has letters that are not ASCII: write an international name as xn--...",
			shown, source,
		)
	}
	return "https://" + strings.TrimSuffix(strings.ToLower(u.Host), ":443") + "/", nil
}

// trustsAuthority reports whether an authority that Microsoft does not know is trusted. One that
// the cluster's config names never is.
func (r Request) trustsAuthority() bool {
	return r.DisableInstanceDiscovery && r.From["authority-host"] != FromCluster
}

// ForResourceManager returns a request by the same login for a token of Azure Resource Manager, and
// that service's address, https://HOST. The cloud is the one to which r's authority belongs. If
// that is unknown, as for a private cloud, the error is a *UsageError.
func (r Request) ForResourceManager() (_ Request, endpoint string, err error) {
	authority, err := r.authority()
	if err != nil {
		return r, "", err
	}
	e, known := environmentByAuthority(authority)
	if !known {
		return r, "", usageErrorf(
			"authority host %q%s is none of %s: where Azure Resource Manager is in that cloud is not known",
			redact.URL(authority), r.sourceNote("authority-host"),
			strings.Join(EnvironmentNames(), ", "),
		)
	}
	manager := e.Services[cloud.ResourceManager]
	r.From = maps.Clone(r.From)
	if r.From == nil {
		r.From = map[string]string{}
	}
	r.ServerID, r.From["server-id"] = manager.Audience, "Azure Resource Manager"
	return r, manager.Endpoint, nil
}

// isMicrosoftAuthority reports whether an authority, https://HOST/, belongs to a known cloud. There
// the token endpoint is https://HOST/TENANT/oauth2/v2.0/token, so that discovery is unnecessary.
func isMicrosoftAuthority(authority string) bool {
	_, known := environmentByAuthority(authority)
	return known
}

// regionVariables name the region whose address of Entra ID azidentity and MSAL use by themselves.
// The first one that is set counts.
var regionVariables = []string{"AZURE_REGIONAL_AUTHORITY_NAME", "MSAL_FORCE_REGION"}

// regionFrom returns the region that azidentity and MSAL choose, or "". It refuses, with a
// *UsageError, the value that makes MSAL detect the region: MSAL would ask the machine's metadata
// service without our transport and its limits, and the answer would not be an input of the cache.
func regionFrom(getenv func(string) string) (string, error) {
	for _, variable := range regionVariables {
		switch region := getenv(variable); {
		case region == "":
			continue
		case strings.EqualFold(region, "DisableMsalForceRegion"): // MSAL's word for none
			return "", nil
		case strings.EqualFold(region, "TryAutoDetect"):
			return "", &UsageError{
				Text: fmt.Sprintf("$%s is %q, and this program does not detect the region", variable, region),
				Hint: "set $" + variable + " to the region's name, such as westeurope, or unset it: " +
					"then the token comes from Entra ID's global address",
			}
		default:
			return region, nil
		}
	}
	return "", nil
}

// federatedAudience returns the audience for which a CI system is asked for a federated token.
func (r Request) federatedAudience() string {
	if r.presentsFederatedToken() {
		return r.audience()
	}
	return r.exchangeAudience()
}

// exchangeAudience returns the audience that a federated token must have for an exchange in r's
// cloud.
func (r Request) exchangeAudience() string {
	authority, _ := r.authority() // Check reports the error
	e, known := environmentByAuthority(authority)
	if !known {
		e, _ = r.environment()
	}
	return e.exchangeAudience
}
