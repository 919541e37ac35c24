package token

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// environment is an Azure cloud by its names in --environment (any case).
type environment struct {
	names               []string
	cloud.Configuration          // addresses: the Azure SDK's, as kubelogin's were, so firewalls are open for them
	hosts               []string // all of Entra ID's own
	exchangeAudience    string   // audience of a federated token that is to be exchanged there
}

// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations (audiences)
// https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/440 (hosts)
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
		[]string{
			"login.microsoftonline.us",
			"login-us.microsoftonline.com",
		},
		"api://AzureADTokenExchangeUSGov",
	},
	{
		[]string{"AzureChinaCloud"},
		cloud.AzureChina,
		[]string{
			"login.partner.microsoftonline.cn",
			"login.chinacloudapi.cn",
		},
		"api://AzureADTokenExchangeChina",
	},
}

// environmentByAuthority is the cloud whose Entra ID answers at an https://HOST/; known is false
// where that is no cloud's of the table.
func environmentByAuthority(authority string) (e environment, known bool) {
	host := strings.TrimSuffix(strings.TrimPrefix(authority, "https://"), "/")
	i := slices.IndexFunc(
		environments,
		func(e environment) bool { return slices.Contains(e.hosts, host) },
	)
	if i < 0 {
		return environment{}, false
	}
	return environments[i], true
}

// EnvironmentNames returns the clouds by the first of their names.
func EnvironmentNames() []string {
	var names []string
	for _, c := range environments {
		names = append(names, c.names[0])
	}
	return names
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
	return environment{}, usageErrorf(
		"unknown environment %q%s: this program knows %s; any other cloud is named by its --authority-host",
		r.Environment,
		r.sourceNote("environment"),
		strings.Join(EnvironmentNames(), ", "),
	)
}

// authority is Entra ID's address: https, a host, and a single slash. Errors repeat no more of an
// address than its host: there may be a password in it.
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
		return "", usageErrorf(
			"authority host %q%s is not an https:// address",
			redact.URL(r.AuthorityHost),
			r.sourceNote("authority-host"),
		)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", usageErrorf(
			"authority host %q%s must be https://HOST/ and no more; the tenant is given by --tenant-id",
			redact.URL(r.AuthorityHost),
			r.sourceNote("authority-host"),
		)
	}
	if !redact.IsPlain(u.Host, ".-:[]") {
		return "", usageErrorf(
			"authority host %q%s has letters in it that only look like a host's: it must be in ASCII (xn--...)",
			redact.URL(r.AuthorityHost),
			r.sourceNote("authority-host"),
		)
	}
	return "https://" + strings.TrimSuffix(strings.ToLower(u.Host), ":443") + "/", nil
}

// ForResourceManager returns the request for a token of Azure Resource Manager by the same login,
// and Azure Resource Manager's address,
// https://HOST. The cloud is the authority's: where that is a private one's, there is no address and an error.
func (r Request) ForResourceManager() (_ Request, endpoint string, err error) {
	authority, err := r.authority()
	if err != nil {
		return r, "", err
	}
	e, known := environmentByAuthority(authority)
	if !known {
		return r, "", usageErrorf(
			"authority host %q%s is none of %s: where Azure Resource Manager is in that cloud is not known",
			redact.URL(authority),
			r.sourceNote("authority-host"),
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

// isMicrosoftAuthority tells whether an https://HOST/ is one of Entra ID's own, where the token
// endpoint is https://HOST/TENANT/oauth2/v2.0/token: discovery documents say nothing there that is
// not known.
func isMicrosoftAuthority(address string) bool {
	_, known := environmentByAuthority(address)
	return known
}

// regionFrom is the regional endpoint that azidentity and MSAL would choose on their own.
func regionFrom(getenv func(string) string) string {
	if region := getenv("AZURE_REGIONAL_AUTHORITY_NAME"); region != "" {
		return region
	}
	return getenv("MSAL_FORCE_REGION")
}

// exchangeAudience is the audience that a federated token must have to be exchanged in the
// request's cloud.
func (r Request) exchangeAudience() string {
	authority, _ := r.authority() // Check has seen it
	e, known := environmentByAuthority(authority)
	if !known {
		e = environments[0]
	}
	return e.exchangeAudience
}
