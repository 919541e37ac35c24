package token

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// Check validates r without reading files or using the network. It returns the login method, and a
// *UsageError if r cannot work. The method is the zero value only if its name is unknown.
func (r Request) Check() (Method, error) {
	m, known := MethodByName(r.Login)
	if !known {
		names := loginNames(r.Login)
		isUnknown := func(name string) bool { return !slices.Contains(MethodNames(), name) }
		name := names[slices.IndexFunc(names, isUnknown)]
		return m, &UsageError{
			Text: fmt.Sprintf(
				"unknown login method %q%s: this program knows %s",
				name, r.sourceNote("login"), strings.Join(MethodNames(), ", "),
			),
			Hint: DidYouMean(name, "", MethodNames()),
		}
	}
	if m.isInOrder() {
		return m, usageErrorf("%s are several login methods: Request.Resolve chooses one", r.Login)
	}
	return m, r.checkMethod(m, anyFlags)
}

func anyFlags([]string) bool { return true }

// CheckStanza is like Check for a request that is written into a kubeconfig. It accepts missing
// secrets, because variables may supply them where the kubeconfig is used.
func (r Request) CheckStanza() error {
	m, err := r.Check()
	if m.Name == "" {
		return err
	}
	notSecret := func(oneOf []string) bool { return !slices.ContainsFunc(oneOf, isSecretFlag) }
	return r.checkMethod(m, notSecret)
}

// CheckGiven is like Check, but accepts missing flags: variables may supply them where r is used.
func (r Request) CheckGiven() error {
	m, err := r.Check()
	if m.Name == "" {
		return err
	}
	return r.checkMethod(m, func([]string) bool { return false })
}

// checkMethod validates r for m. required reports whether one of the given alternative flags has to
// be set.
func (r Request) checkMethod(m Method, required func(oneOf []string) bool) error {
	if r.Legacy && m.usesFlag("legacy") {
		return &UsageError{
			Text: "--legacy asked for a token with the audience spn:" + r.audience() + ", for the integration of AKS with Azure AD that ended in 2023",
			Hint: "leave --legacy out: current clusters expect a token without it",
		}
	}
	for _, check := range []func(Method) error{r.checkShellVariables, r.checkNoVia} {
		if err := check(m); err != nil {
			return err
		}
	}
	if missing := r.missingFlags(m, required); missing != nil {
		return r.missingFlagError(m, missing)
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
	if !m.callsEntra() { // the method ignores these two
		r.AuthorityHost, r.Environment = "", ""
	}
	return r.CheckValues()
}

// missingFlags returns the first of m's required flags that is not set, with its alternatives, or
// nil. Of several methods in order none is required, since one that lacks a flag is not chosen.
func (r Request) missingFlags(m Method, required func(oneOf []string) bool) []string {
	isSet := func(flag string) bool { return r.flagValue(flag) != "" }
	for _, alternatives := range m.Required {
		oneOf := strings.Split(alternatives, "|")
		if !m.isInOrder() && required(oneOf) && !slices.ContainsFunc(oneOf, isSet) {
			return oneOf
		}
	}
	return nil
}

// missingFlagError says that m needs one of flags, and names the variables that could supply it.
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
	list := strings.Join(sources, ", ")
	if flags[0] == "client-id" && r.publicClientGiven {
		return &UsageError{
			Text: fmt.Sprintf(
				"login %s needs a client ID of its own: %s is the public client that az writes into every kubeconfig",
				m.Name, PublicClientID,
			),
			Hint: "give the client ID of the managed identity or application in one of " + list,
		}
	}
	text := fmt.Sprintf(
		"login %s needs --%s; none of these is set: %s",
		m.Name, strings.Join(flags, " or --"), list,
	)
	isFallback := r.From["login"] == fromDefault && m.Detect == nil
	if detectable, ok := detectableMethod(); ok && isFallback {
		return &UsageError{
			Text: detectable.NotDetected.Text + " " + m.Name + ": " + text,
			Hint: detectable.NotDetected.Hint,
		}
	}
	return &UsageError{Text: text, Hint: m.MissingHint}
}

// checkIDs validates the tenant, client and server IDs.
func (r Request) checkIDs(m Method) error {
	tenant := strings.ToLower(r.TenantID)
	shared := IsSharedTenant(tenant)
	switch {
	case shared && m.usesFlag("tenant-id") && !slices.Contains(m.SharedTenants, tenant):
		return usageErrorf(
			"tenant %q%s stands for many tenants: login %s needs a single one, give its ID",
			r.TenantID, r.sourceNote("tenant-id"), m.Name,
		)
	case r.TenantID != "" && !shared && !isTenant(r.TenantID):
		return usageErrorf(
			"tenant %q%s is not a tenant ID and not a domain name%s",
			r.TenantID, r.sourceNote("tenant-id"), oddCharacterNote(r.TenantID),
		)
	case r.ClientID != "" && !isApplicationID(r.ClientID, ".-_"):
		return usageErrorf(
			"client ID %q%s is not valid%s: copy it from the properties of the managed identity or application",
			r.ClientID, r.sourceNote("client-id"), oddCharacterNote(r.ClientID),
		)
	case !isApplicationID(r.audience(), ".-_:/"):
		return usageErrorf(
			"server ID %q%s is not an application ID%s",
			r.ServerID, r.sourceNote("server-id"), oddCharacterNote(r.ServerID),
		)
	}
	return nil
}

// oddCharacterNote names the first character of s that is not ASCII, such as a dash or a space that
// looks like another one. It is "" if there is none.
func oddCharacterNote(s string) string {
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return fmt.Sprintf(": it contains the invalid character %#U", c)
		}
	}
	return ""
}

// checkPoP validates the flags for proof of possession.
func (r Request) checkPoP(m Method) error {
	switch {
	case r.PoPClaims != "" && !r.PoPEnabled:
		return usageErrorf("%s is valid only with --pop-enabled", r.popClaimsName())
	case !r.PoPEnabled:
		return nil
	case !m.usesFlag("pop-enabled"):
		return usageErrorf(
			"login %s cannot ask for proof-of-possession tokens (--pop-enabled); these can: %s",
			m.Name, strings.Join(MethodsWith("pop-enabled"), ", "),
		)
	}
	_, err := r.popHost()
	return err
}

// CheckValues validates the values that do not depend on the login method. Its errors are
// *UsageError.
func (r Request) CheckValues() error {
	switch {
	case !slices.Contains([]string{"", "auto", "on", "off"}, r.AzureTokenProxy):
		return usageErrorf(
			"--azure-token-proxy is %q: it can be auto, on or off", r.AzureTokenProxy,
		)
	case r.checkTokenVariable() != nil:
		return r.checkTokenVariable()
	case r.FederatedTokenEnv != "" && r.FederatedTokenFile != "":
		return usageErrorf("--federated-token-env and --federated-token-file are both given: a federated token comes from one place")
	case !slices.Contains([]string{"", "auto", PromptAlways, PromptNever}, r.Prompt):
		return usageErrorf("--prompt is %q: it can be auto, always or never", r.Prompt)
	case r.Timeout < 0 || (r.Timeout == 0 && r.From["timeout"] != ""):
		return usageErrorf(
			"timeout %s%s must be greater than zero", r.Timeout, r.sourceNote("timeout"),
		)
	}
	_, err := r.authority()
	return err
}

// checkTokenVariable refuses what cannot be the name of a variable. Its error does not repeat the
// value, which may be the token.
func (r Request) checkTokenVariable() error {
	if r.FederatedTokenEnv == "" || redact.IsPlain(r.FederatedTokenEnv, "_") {
		return nil
	}
	return &UsageError{
		Text: "--federated-token-env needs the name of a variable, of letters, digits and _",
		Hint: "the token itself belongs in that variable",
	}
}

// IsSharedTenant reports whether a tenant's name stands for many tenants.
func IsSharedTenant(tenant string) bool {
	return slices.Contains(sharedTenants, strings.ToLower(tenant))
}

// isTenant reports whether s is a GUID, a domain name, or "adfs", which AD FS has in place of a
// tenant.
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

// IsGUID reports whether s is a GUID in the form that Azure writes: five groups of hexadecimal
// digits with hyphens between them.
func IsGUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return err == nil && len(raw) == 16
}

// isApplicationID reports whether s can be an application's ID, made of letters, digits and the
// characters in more. It rejects what looks like a token that was passed by mistake.
func isApplicationID(s, more string) bool {
	return len(s) <= 200 && redact.IsPlain(s, more) && !redact.LooksLikeSecret(s)
}
