package entratest

import (
	"maps"
	"slices"
	"strings"
)

// entraHosts are the hosts of Entra ID; the loopback names serve it too.
var entraHosts = []string{
	"login.microsoftonline.com",
	"login.microsoftonline.us",
	"login.partner.microsoftonline.cn",
	"login.chinacloudapi.cn",
	"login.windows.net",
	"sts.windows.net", // the issuer in tokens, so API servers read its documents
}

// proxiedHosts returns all hosts that the CONNECT proxy leads to.
func proxiedHosts() []string {
	return slices.Concat(
		entraHosts,
		[]string{gitHubHost, pipelinesHost},
		slices.Sorted(maps.Keys(armHosts)),
	)
}

// armHosts are the hosts of Azure Resource Manager. The value is the host's older name, which the
// audience of tokens may have too.
var armHosts = map[string]string{
	"management.azure.com":         "management.core.windows.net",
	"management.usgovcloudapi.net": "management.core.usgovcloudapi.net",
	"management.chinacloudapi.cn":  "management.core.chinacloudapi.cn",
}

// armAudiences returns the audiences that Azure Resource Manager accepts at the given hosts, in the
// order in which its errors list them.
func armAudiences(hosts ...string) []string {
	var audiences []string
	for _, host := range hosts {
		for _, name := range []string{armHosts[host], host} {
			audiences = append(audiences, "https://"+name+"/", "https://"+name)
		}
	}
	return audiences
}

const (
	gitHubHost = "token.actions.githubusercontent.com"

	gitHubIssuerURL = "https://" + gitHubHost // without a trailing slash, unlike AKS's

	gitHubKid = "38826b17-6a30-5f9b-b169-8beb8202f723"
)

const (
	pipelinesHost = "dev.azure.com"

	pipelinesIssuerURL = "https://vstoken.dev.azure.com/" // followed by the organization's GUID

	entraIssuerURL = "https://login.microsoftonline.com/" // followed by the tenant's GUID and /v2.0

	pipelinesKid = "D6A3F0E2B7C95418A1E09C4D7B2F6358E4D1C0A9"
)

// isPipelinesIssuer reports whether issuer is one of service connections' ID tokens, which
// [Server.pipelinesToken] signs.
func isPipelinesIssuer(issuer string) bool {
	return strings.HasPrefix(issuer, pipelinesIssuerURL) ||
		strings.HasPrefix(issuer, entraIssuerURL)
}

// tokenIssuer returns the issuer of version 1.0 tokens. Here it is the same in every cloud.
func tokenIssuer(tenant string) string { return "https://sts.windows.net/" + tenant + "/" }

// exchangeIssuer is the issuer of tokens that are to be client assertions, which have version 2.0.
func exchangeIssuer(tenant string) string { return "https://" + entraHosts[0] + "/" + tenant + "/v2.0" }

// isSharedTenant reports whether the name addresses the users of every tenant.
func isSharedTenant(name string) bool { return name == "common" || name == "organizations" }
