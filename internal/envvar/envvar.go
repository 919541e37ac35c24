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
// internal/warmstart imports this package, so it imports only os and strings, and its variables
// need no initialization.
package envvar

import (
	"os"
	"strings"
)

// counted lists the variables. A name that ends in _ stands for every name that starts with it.
var counted = [...]string{
	"AKSLOGIN_",                                    // this program
	"AAD_", "ARM_", "AZURE_", "AZURESUBSCRIPTION_", // kubelogin, Terraform, Azure SDKs
	"AZD_",                                                    // azd
	"BROWSER",                                                 // --login interactive
	"ACTIONS_", "SYSTEM_ACCESSTOKEN", "SYSTEM_OIDCREQUESTURI", // CI systems
	"DEFAULT_IDENTITY_", "IDENTITY_", "IMDS_", "MSI_", // managed identity
	"MSAL_",                       // MSAL
	"KUBECACHEDIR", "KUBERNETES_", // kubectl
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", // net/http
	"SSL_CERT_",                                                              // crypto/x509
	"HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_DATA_HOME", // default folders
}

// Counts reports whether the variable can change the result of get-token. On Windows, where names
// are case-insensitive, the caller passes the name in upper case.
func Counts(name string) bool {
	for _, listed := range &counted {
		if name == listed || listed[len(listed)-1] == '_' && strings.HasPrefix(name, listed) {
			return true
		}
	}
	return false
}

// Secret reports whether a stored answer's identity may depend only on the variable being set, not
// on its value. No login whose answer is stored reads such a variable, and an identity made from a
// password would let others test guesses.
func Secret(name string) bool {
	return strings.Contains(name, "SECRET") || strings.Contains(name, "PASSWORD")
}

// Get returns the variable's value, "" if it is unset. The name must be listed (see [Counts]); the
// tests of internal/cli check that it is, Get does not.
func Get(name string) string { return os.Getenv(name) }
