// Package envvar lists the environment variables that can change the result of get-token.
//
// The warm start derives the identity of a stored answer from every listed variable that is set.
// The command line and doctor read variables with [Get]. Packages token and cache do not import
// this package: the command line passes Get to them.
//
// The list is wider than what the program reads today. A variable too many costs cache misses; a
// missing one would let the warm start print a stale answer. Two tests in internal/cli hold the
// list: one records what the program and its libraries read, the other scans the sources.
//
// HOME, XDG_CACHE_HOME and the like do not count: they only lead to the cache directory that holds
// the stored answer.
//
// internal/warmstart imports this package, so it imports only os and strings, and its variables
// need no initialization.
package envvar

import (
	"os"
	"strings"
)

// counted lists the variables. A name that ends in _ stands for every name that starts with it.
var counted = [...]string{
	// This program.
	"AKSLOGIN_",
	// kubelogin, Terraform, the Azure SDKs, MSAL and azd.
	"AAD_", "ARM_", "AZURE_", "AZURESUBSCRIPTION_", "MSAL_", "AZD_",
	// Managed identity endpoints.
	"DEFAULT_IDENTITY_", "IDENTITY_", "IMDS_", "MSI_",
	// GitHub Actions and Azure Pipelines. Other SYSTEM_ variables differ from step to step.
	"ACTIONS_", "SYSTEM_ACCESSTOKEN", "SYSTEM_OIDCREQUESTURI",
	// kubectl.
	"KUBECACHEDIR", "KUBERNETES_",
	// net/http and crypto/x509.
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_",
	// Interactive logins.
	"BROWSER",
}

// InKey reports whether the variable can change the result of get-token. On Windows, where names
// are case-insensitive, the caller passes the name in upper case.
func InKey(name string) bool {
	for _, listed := range &counted {
		if name == listed || listed[len(listed)-1] == '_' && strings.HasPrefix(name, listed) {
			return true
		}
	}
	return false
}

// Secret reports whether a stored answer's identity may depend only on the variable being set, not
// on its value. No login whose answer is stored reads such a variable, and an identity made from a
// password would let others test guesses. Federated tokens and those of CI jobs (ARM_OIDC_TOKEN,
// SYSTEM_ACCESSTOKEN) count with their values: they are signed or random, so nobody can guess one,
// and a stored answer is sealed with the federated token itself.
func Secret(name string) bool {
	return strings.Contains(name, "SECRET") || strings.Contains(name, "PASSWORD")
}

// Get returns the variable's value, "" if it is unset. It does not check that the list has it:
// the tests in internal/cli do.
func Get(name string) string { return os.Getenv(name) }
