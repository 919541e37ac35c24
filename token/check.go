package token

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// Check refuses, with a *UsageError, what can be known to be wrong before anything is read or sent.
// It returns the login method, also with an error, unless that is unknown.
func (r Request) Check() (Method, error) {
	m, known := MethodByName(r.Login)
	if !known {
		return m, usageErrorf(
			"unknown login method %q%s: this program knows %s",
			r.Login,
			r.sourceNote("login"),
			strings.Join(MethodNames(), ", "),
		)
	}
	return m, r.checkMethod(m, func([]string) bool { return true })
}

// CheckStanza is Check for a request that is written down to be made later, elsewhere: its secrets
// may be in variables there.
func (r Request) CheckStanza() error {
	m, err := r.Check()
	if m.Name == "" {
		return err
	}
	return r.checkMethod(
		m,
		func(need []string) bool { return !slices.ContainsFunc(need, isSecretFlag) },
	)
}

// checkMethod refuses what is wrong for a method. needed tells which of its needs count.
func (r Request) checkMethod(m Method, needed func([]string) bool) error {
	if r.Legacy && m.usesFlag("legacy") {
		return &UsageError{
			Text: "--legacy asked for a token with the audience spn:" + r.audience() + ", for the integration of AKS with Azure AD that ended in 2023",
			Hint: "leave --legacy out: clusters of today want the token without it",
		}
	}
	for _, need := range m.Required {
		oneOf := strings.Split(need, "|")
		if needed(oneOf) &&
			!slices.ContainsFunc(oneOf, func(flag string) bool { return r.flagValue(flag) != "" }) {
			return r.missingFlagError(m, oneOf)
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
	if !m.callsEntra() { // where Entra ID is means nothing to it
		r.AuthorityHost, r.Environment = "", ""
	}
	return r.CheckValues()
}

// missingFlagError says that a method needs one of the flags, and where they could have come from.
func (r Request) missingFlagError(m Method, flags []string) error {
	var sources []string
	for _, flag := range flags {
		sources = append(sources, "--"+flag)
		for _, v := range flagVariables(flag) {
			if r.readsVariable(v) {
				sources = append(sources, "$"+v.Name)
			}
		}
	}
	if flags[0] == "client-id" && r.publicClientGiven {
		return &UsageError{
			Text: fmt.Sprintf(
				"login %s needs a client ID of its own: %s is the public client that az writes into every kubeconfig",
				m.Name,
				PublicClientID,
			),
			Hint: "give the client ID of the managed identity or application in one of " + strings.Join(
				sources,
				", ",
			),
		}
	}
	text := fmt.Sprintf(
		"login %s needs --%s; none of these is set: %s",
		m.Name,
		strings.Join(flags, " or --"),
		strings.Join(sources, ", "),
	)
	if r.From["login"] == fromDefault && m.Name != workloadIdentityName {
		return &UsageError{
			Text: "no federated token was found, and without one the login method is " + m.Name + ": " + text,
			Hint: "name the token's file with --federated-token-file or $AZURE_FEDERATED_TOKEN_FILE; the Azure workload identity webhook mounts it in a pod at " +
				WellKnownTokenFile + ". Other logins are named by --login",
		}
	}
	return &UsageError{Text: text, Hint: m.MissingHint}
}

// checkIDs knows the names that stand for many tenants: where a person signs in, Entra ID finds his
// own, and where a password is sent, below organizations only
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc).
func (r Request) checkIDs(m Method) error {
	asked := strings.ToLower(r.TenantID)
	shared := slices.Contains([]string{"common", "organizations", "consumers"}, asked)
	switch {
	case shared && m.usesFlag("tenant-id") && !m.Interactive && !(m.usesFlag("password") && asked == "organizations"):
		return usageErrorf(
			"tenant %q%s stands for many tenants: login %s is to one, give its ID",
			r.TenantID,
			r.sourceNote("tenant-id"),
			m.Name,
		)
	case r.TenantID != "" && !shared && !isTenant(r.TenantID):
		return usageErrorf(
			"tenant %q%s is not a tenant ID and not a domain name",
			r.TenantID,
			r.sourceNote("tenant-id"),
		)
	case r.ClientID != "" && !isApplicationID(r.ClientID, ".-_"):
		return usageErrorf(
			"client ID %q%s is not valid: copy it from the properties of the managed identity or application",
			r.ClientID,
			r.sourceNote("client-id"),
		)
	case !isApplicationID(r.audience(), ".-_:/"):
		return usageErrorf(
			"server ID %q%s is not an application ID",
			r.ServerID,
			r.sourceNote("server-id"),
		)
	}
	return nil
}

// CheckValues refuses, with a *UsageError, values that are wrong whatever the login method is.
func (r Request) CheckValues() error {
	switch {
	case !slices.Contains([]string{"", "auto", "on", "off"}, r.AzureTokenProxy):
		return usageErrorf(
			"--azure-token-proxy is %q: it can be auto, on or off",
			r.AzureTokenProxy,
		)
	case r.Timeout < 0 || (r.Timeout == 0 && r.From["timeout"] != ""):
		return usageErrorf(
			"timeout %s%s must be greater than zero",
			r.Timeout,
			r.sourceNote("timeout"),
		)
	}
	_, err := r.authority()
	return err
}

// isTenant tells whether s is a GUID or a domain name; "adfs" is what AD FS has in a tenant's
// place.
func isTenant(s string) bool {
	if len(s) > 253 || !redact.IsPlain(s, ".-") || redact.LooksLikeSecret(s) {
		return false
	}
	labels := strings.Split(s, ".")
	if len(labels) == 1 {
		return IsGUID(s) || strings.EqualFold(s, "adfs")
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") ||
			strings.HasSuffix(label, "-") {
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

// isApplicationID tells whether s can be an application's ID, and is not a token that got into the
// wrong place.
func isApplicationID(s, more string) bool {
	return len(s) <= 200 && redact.IsPlain(s, more) && !redact.LooksLikeSecret(s)
}
