package entratest

import (
	"maps"
	"slices"
	"strings"
)

// entraHosts are the hosts at which Entra ID answers, apart from the loopback names.
var entraHosts = []string{
	"login.microsoftonline.com",
	"login.microsoftonline.us",
	"login.partner.microsoftonline.cn",
	"login.chinacloudapi.cn",
	"login.windows.net",
	"sts.windows.net", // tokens name it as their issuer, so API servers read its documents
}

// proxiedHosts are all names behind the CONNECT proxy.
func proxiedHosts() []string {
	return slices.Concat(
		entraHosts,
		[]string{gitHubHost, pipelinesHost},
		slices.Sorted(maps.Keys(armHosts)),
	)
}

// armHosts are the hosts of Azure Resource Manager, each with the older name that tokens for it may
// have too.
var armHosts = map[string]string{
	"management.azure.com":         "management.core.windows.net",
	"management.usgovcloudapi.net": "management.core.usgovcloudapi.net",
	"management.chinacloudapi.cn":  "management.core.chinacloudapi.cn",
}

// armAudiences are all that Azure Resource Manager takes at some hosts, in the order in which it
// names them.
func armAudiences(hosts ...string) []string {
	var all []string
	for _, host := range hosts {
		for _, name := range []string{armHosts[host], host} {
			all = append(all, "https://"+name+"/", "https://"+name)
		}
	}
	return all
}

const (
	gitHubHost = "token.actions.githubusercontent.com"

	gitHubIssuerURL = "https://" + gitHubHost // without a trailing slash, unlike AKS's

	gitHubKid = "38826b17-6a30-5f9b-b169-8beb8202f723"
)

const (
	pipelinesHost = "dev.azure.com"

	pipelinesIssuerURL = "https://vstoken.dev.azure.com/" // the organization's GUID comes after it

	entraIssuerURL = "https://login.microsoftonline.com/" // the tenant's GUID and /v2.0 come after it

	pipelinesKid = "D6A3F0E2B7C95418A1E09C4D7B2F6358E4D1C0A9"
)

// isPipelinesIssuer knows the issuers of service connections' ID tokens, whose key
// [Server.pipelinesToken] uses.
func isPipelinesIssuer(issuer string) bool {
	return strings.HasPrefix(issuer, pipelinesIssuerURL) ||
		strings.HasPrefix(issuer, entraIssuerURL)
}

// tokenIssuer is the issuer of version 1.0 tokens; it is the same in every cloud's host here.
func tokenIssuer(tenant string) string { return "https://sts.windows.net/" + tenant + "/" }

// isSharedTenant is whether people of every tenant sign in there.
func isSharedTenant(tenant string) bool { return tenant == "common" || tenant == "organizations" }
