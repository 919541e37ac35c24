package token

import (
	"context"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/akslogin/akslogin/token/internal/entra"
)

// Method is a way to log in. Needs, Uses and Own hold names of flags.
type Method struct {
	Name          string
	About         string         // with what one logs in, in a few words
	Required      []string       // without these it cannot begin; of "a|b" one is enough
	Optional      []string       // these it reads if given
	IdentityFlags []string       // of both, those that name the login itself: what az writes for everybody does not count
	MissingHint   string         // what to do where one of Needs is missing; may be ""
	FallbackHint  string         // what to do where it fails and nothing better is known; may be "", and name facts
	Hints         map[int]string // what to do, by AADSTS code, where it is not what others do
	Interactive   bool           // a person has to sign in
	SealedWith    string         // what its stored tokens are sealed with, in words
	Stanza        Stanza

	// Check refuses values that the method cannot take, before anything is read; nil: there are
	// none.
	Check func(Request) error

	// Open reads what the method presents; it does not use the network.
	Open func(Request, Options, entra.Client) (Login, error)

	// Examine looks at what the method presents, for a diagnosis, also where Check or Open fails;
	// nil: there is nothing to look at. It does not use the network.
	Diagnose func(Request, Options) []Finding
}

// flags are those that mean something to the method.
func (m Method) flags() []string {
	var all []string
	for _, need := range m.Required {
		all = append(all, strings.Split(need, "|")...)
	}
	return append(all, m.Optional...)
}

func (m Method) usesFlag(flag string) bool { return slices.Contains(m.flags(), flag) }

// callsEntra tells whether the method sends its requests to Entra ID; the others ask a service or a
// tool that does so.
func (m Method) callsEntra() bool { return m.usesFlag("authority-host") }

// Stanza says which flags go into a kubeconfig that is converted to a method, beside login,
// server-id and cache-dir. The lists are kubelogin's.
type Stanza struct {
	Flags     []string // in this order
	Inherited []string // of them, those that are taken over from the login that stood there before, whichever it was
	Required  []string // without these there is nothing to convert to
}

// Login is a method made ready: what it presents, and the credential that presents it.
type Login struct {
	Secret []byte   // seals the stored token; whoever has it could get the token anyway. Empty: nothing is stored
	Inputs []string // "name=value": everything else that decides which token comes back; not secret

	// Credential is called when there is something to ask.
	NewCredential func(attempt) (azcore.TokenCredential, error)

	// Replaced, when not nil, tells whether Secret has meanwhile been replaced by another.
	Rotated func() bool

	// Unsure, when not nil, tells of a token that has just come whether it may belong to other
	// Inputs: then it is not stored.
	InputsChanged func() bool

	// Asking, when not nil, tells whether a person is being asked by another process: the method is
	// one that asks.
	PromptInProgress func(context.Context) bool

	// Facts are what explanations may name, by placeholder; nothing secret. "authority" is who was
	// asked, where that is not Entra ID.
	HintValues func() map[string]string
}

// cacheInputs are those of most logins: all that stands in a token request, but for the secret.
func (r Request) cacheInputs(wr entra.Client) []string {
	return []string{
		"method=" + r.Login,
		"authority=" + wr.Authority,
		"tenant=" + r.TenantID,
		"client=" + r.ClientID,
		"audience=" + r.audience(),
		"region=" + wr.Region,
		"type=" + r.tokenType(),
	}
}

func (m Method) isIdentityFlag(flag string) bool { return slices.Contains(m.IdentityFlags, flag) }
