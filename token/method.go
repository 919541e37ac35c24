package token

import (
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Method is a way to log in. Needs, Uses and Own hold names of flags.
type Method struct {
	Name    string
	Needs   []string // without these it cannot begin
	Uses    []string // these it reads if given
	Own     []string // of both, those that name the login itself: what az writes for everybody does not count
	Missing string   // what to do where one of Needs is missing; may be ""
	Asks    bool     // a person has to sign in
	Stanza  Stanza

	// Open reads what the method presents; it does not use the network. nil: the method is not built yet.
	Open func(Request, World, wire) (Login, error)
}

// Stanza says which flags go into a kubeconfig that is converted to a method, beside login, server-id and cache-dir. The lists are kubelogin's.
type Stanza struct {
	Writes   []string // in this order
	Inherits []string // of them, those that are taken over from the login that stood there before, whichever it was
	Requires []string // without these there is nothing to convert to
}

// Login is a method made ready: what it presents, and the credential that presents it.
type Login struct {
	Secret []byte   // seals the stored token; whoever has it could get the token anyway
	Inputs []string // "name=value": everything else that decides which token comes back; not secret

	// Credential is called when Entra ID has to be asked. Options carry the way there and stay as they are.
	Credential func(azcore.ClientOptions, wire) (azcore.TokenCredential, error)

	// Replaced, when not nil, tells whether Secret has meanwhile been replaced by another.
	Replaced func() bool

	// Facts are what explanations may name, by placeholder; nothing secret.
	Facts func() map[string]string
}

// identity is what most stanzas say of who logs in.
var identity = []string{"client-id", "tenant-id"}

// signIn is what a person's stanza says, and no other login's.
var signIn = []string{"client-id", "tenant-id", "environment"}

// pop are given together or not at all.
var pop = []string{"pop-enabled", "pop-claims"}

// Methods are all login methods, in the order in which the help names them.
var Methods = []Method{
	{Name: "devicecode", Asks: true, Stanza: Stanza{
		Writes:   slices.Concat(signIn, []string{"legacy"}),
		Inherits: slices.Concat(signIn, []string{"legacy"}),
		Requires: identity,
	}},
	{Name: "interactive", Asks: true, Stanza: Stanza{
		Writes:   slices.Concat(signIn, pop, []string{"redirect-url", "login-hint"}),
		Inherits: slices.Concat(signIn, pop, []string{"redirect-url", "login-hint"}),
		Requires: identity,
	}},
	{Name: "spn", Own: []string{"client-id"}, Stanza: Stanza{
		Writes:   slices.Concat(signIn, []string{"client-secret", "client-certificate", "client-certificate-password", "legacy"}, pop),
		Inherits: slices.Concat(signIn, []string{"legacy"}, pop),
		Requires: identity,
	}},
	{Name: "ropc", Stanza: Stanza{
		Writes:   slices.Concat(signIn, []string{"username", "password", "legacy"}, pop),
		Inherits: slices.Concat(signIn, []string{"legacy"}, pop),
		Requires: identity,
	}},
	{Name: "msi", Stanza: Stanza{Writes: []string{"client-id", "identity-resource-id"}}},
	{Name: "azurecli", Stanza: Stanza{Writes: []string{"tenant-id", "subscription"}}},
	{Name: "azd", Stanza: Stanza{Writes: []string{"tenant-id"}}},
	workloadIdentity,
	{Name: "azurepipelines", Own: []string{"client-id"}, Stanza: Stanza{
		Writes:   []string{"tenant-id", "client-id", "azure-pipelines-service-connection-id"},
		Inherits: []string{"tenant-id"},
		Requires: []string{"tenant-id"},
	}},
}

// MethodNames returns the names of the methods that are built, or of the others.
func MethodNames(built bool) []string {
	var names []string
	for _, m := range Methods {
		if (m.Open != nil) == built {
			names = append(names, m.Name)
		}
	}
	return names
}

func method(name string) (Method, bool) {
	i := slices.IndexFunc(Methods, func(m Method) bool { return m.Name == name })
	if i < 0 {
		return Method{}, false
	}
	return Methods[i], true
}

func (m Method) owns(flag string) bool { return slices.Contains(m.Own, flag) }
