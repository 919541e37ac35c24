package token

import (
	"context"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// Method is a login method, as the program akslogin needs it. Other programs name a method in
// Request.Login and need none of its fields. Lists of flags hold names without dashes. A file
// declares each method; [Methods] lists them.
//
// [Request.Resolve] calls Detect if the request names no method, and UnmetNeed if it names several.
// [Get] and [Diagnose] call Check, and then Open. All functions may be called from many goroutines
// at once.
type Method struct {
	Name  string
	About string // what the login authenticates with, in a few words

	Required    []string // flags that must be set; of "a|b" one is enough
	Optional    []string // other flags that the method reads
	Interactive bool     // a person has to sign in

	// IdentityFlags identify the login itself. Az's public client ID does not count for them.
	IdentityFlags []string

	// SharedTenants are the names of many tenants that the method accepts in place of a tenant, of
	// "common", "organizations" and "consumers".
	SharedTenants []string

	MissingHint  string         // hint for a missing Required flag
	FallbackHint string         // hint for a failure without a better one; with placeholders
	Hints        map[int]string // hints by AADSTS code that replace the general ones
	TextHints    []textHint     // hints by a part of an error's text

	SealedWith string // for people: the key that seals stored tokens
	Stanza     Stanza

	// Detect reports whether the method can log in here although the request names no method. It
	// is nil if the method is used only when it is named.
	Detect func(r Request, getenv func(string) string) bool

	// NotDetected explains that Detect was false, for a message about the method that is used
	// instead. Text ends so that the other method's name can follow.
	NotDetected struct{ Text, Hint string }

	// UnmetNeed returns what the method lacks on this machine besides flags, "" if nothing. It
	// looks whether something is there, and not whether it is valid. It does not use the network.
	// It is nil if only the network would tell.
	UnmetNeed func(r Request, getenv func(string) string) string

	// Check validates values that are special to the method. It reads no files. It may be nil.
	Check func(Request) error

	// Open reads the login's secret, such as a file. It does not use the network.
	Open func(Request, Options, entra.Client) (Login, error)

	// Diagnose examines the login's secret for a diagnosis, also if Check or Open fails. It does
	// not use the network. It may be nil.
	Diagnose func(Request, Options) []Finding
}

// textHint is the hint for errors whose text has a part.
type textHint struct{ part, hint string }

// textHint returns the hint in TextHints for an error, or "".
func (m Method) textHint(err error) string {
	for _, h := range m.TextHints {
		if strings.Contains(err.Error(), h.part) {
			return h.hint
		}
	}
	return ""
}

// flags returns all flags that have a meaning for the method.
func (m Method) flags() []string {
	var all []string
	for _, alternatives := range m.Required {
		all = append(all, strings.Split(alternatives, "|")...)
	}
	return append(all, m.Optional...)
}

func (m Method) usesFlag(flag string) bool { return slices.Contains(m.flags(), flag) }

func (m Method) isIdentityFlag(flag string) bool { return slices.Contains(m.IdentityFlags, flag) }

// callsEntra reports whether the method sends its requests to Entra ID. The other methods ask a
// service or a tool that does so.
func (m Method) callsEntra() bool { return m.usesFlag("authority-host") }

// usesRegion reports whether the method can use a regional address of Entra ID. Applications can,
// which have a client ID of their own, and people cannot.
func (m Method) usesRegion() bool { return m.callsEntra() && m.isIdentityFlag("client-id") }

// Stanza says which flags a kubeconfig's exec config has for a method, besides login, server-id and
// cache-dir. The lists are the same as kubelogin's, without --legacy, which get-token refuses.
type Stanza struct {
	Flags     []string // in the order in which they are written
	Inherited []string // flags that are taken over from another method's exec config
	Required  []string // flags without which a conversion fails

	// NoServerID means that server-id is not written unless it is given: the token's issuer decides
	// on the audience.
	NoServerID bool

	// Exclusive are two flags of which only one is written: the first, unless only the second one
	// is given now. It may be nil.
	Exclusive []string

	// ConfigDirVariable is the variable that names the tool's configuration folder, or "".
	ConfigDirVariable string
}

// Login is a method that is ready to request a token: what Method.Open returns to [Get]. Programs
// other than akslogin do not need it.
type Login struct {
	// Secret seals the stored token. Whoever has it could get the token anyway. If it is empty,
	// nothing is stored.
	Secret []byte

	// Inputs are everything else that decides which token is returned, as "name=value". They are
	// not secret.
	Inputs []string

	// NewCredential returns the credential for an attempt. It is not called at a cache hit.
	NewCredential func(attempt) (azcore.TokenCredential, error)

	// FirstHop is the request whose token is the login's assertion. It is nil if there is none.
	FirstHop *firstHop

	// Rotated reports whether Secret has been replaced since Open read it. It may be nil.
	Rotated func() bool

	// InputsChanged reports whether Inputs have changed since Open read them. A token that arrives
	// after that may belong to another identity, and is not stored. It may be nil.
	InputsChanged func() bool

	// PromptInProgress reports whether another process is asking a person to sign in. It is nil if
	// the method never asks.
	PromptInProgress func(context.Context) bool

	// HintValues returns values of placeholders in hints; see hintValues. They are not secret.
	// "authority" is who issues the token, if that is not Entra ID. It may be nil.
	HintValues func() map[string]string
}

// cacheInputs returns the Inputs that most logins have: the parameters of a token request, without
// secrets.
func (r Request) cacheInputs(client entra.Client) []string {
	return []string{
		"method=" + r.Login,
		"authority=" + client.Authority,
		"tenant=" + r.TenantID,
		"client=" + r.ClientID,
		"audience=" + r.audience(),
		"region=" + client.Region,
		"type=" + r.tokenType(),
	}
}

// Lists that several methods share.
var (
	// entraFlags have a meaning for every method that calls Entra ID.
	entraFlags = []string{
		"server-id",
		"environment",
		"authority-host",
		"disable-instance-discovery",
		"timeout",
	}

	// identityFlags identify the login in most exec configs.
	identityFlags = []string{"client-id", "tenant-id"}

	// accountFlags are in the exec configs of people and of most applications.
	accountFlags = []string{"client-id", "tenant-id", "environment"}

	// federatedTokenFlags say where a federated token is. One of them is given.
	federatedTokenFlags = []string{"federated-token-env", "federated-token-file"}

	// popFlags are given together or not at all.
	popFlags = []string{"pop-enabled", "pop-claims"}

	// sharedTenants stand for many tenants. Entra ID finds the tenant by the account that signs in.
	sharedTenants = []string{"common", "organizations", "consumers"}
)
