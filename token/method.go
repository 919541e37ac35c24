package token

import (
	"context"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Method is a way to log in. Needs, Uses and Own hold names of flags.
type Method struct {
	Name     string
	About    string         // with what one logs in, in a few words
	Needs    []string       // without these it cannot begin; of "a|b" one is enough
	Uses     []string       // these it reads if given
	Own      []string       // of both, those that name the login itself: what az writes for everybody does not count
	Missing  string         // what to do where one of Needs is missing; may be ""
	Remedy   string         // what to do where it fails and nothing better is known; may be "", and name facts
	Hints    map[int]string // what to do, by AADSTS code, where it is not what others do
	Asks     bool           // a person has to sign in
	Presents string         // what its stored tokens are sealed with, in words
	Stanza   Stanza

	// Check refuses values that the method cannot take, before anything is read; nil: there are none.
	Check func(Request) error

	// Open reads what the method presents; it does not use the network.
	Open func(Request, World, wire) (Login, error)

	// Examine looks at what the method presents, for a diagnosis, also where Check or Open fails; nil: there is nothing to look at.
	// It does not use the network.
	Examine func(Request, World) []Finding
}

// flags are those that mean something to the method.
func (m Method) flags() []string {
	var all []string
	for _, need := range m.Needs {
		all = append(all, strings.Split(need, "|")...)
	}
	return append(all, m.Uses...)
}

func (m Method) takes(flag string) bool { return slices.Contains(m.flags(), flag) }

// asksEntra tells whether the method sends its requests to Entra ID; the others ask a service or a tool that does so.
func (m Method) asksEntra() bool { return m.takes("authority-host") }

// Stanza says which flags go into a kubeconfig that is converted to a method, beside login, server-id and cache-dir. The lists are kubelogin's.
type Stanza struct {
	Writes   []string // in this order
	Inherits []string // of them, those that are taken over from the login that stood there before, whichever it was
	Requires []string // without these there is nothing to convert to
}

// Login is a method made ready: what it presents, and the credential that presents it.
type Login struct {
	Secret []byte   // seals the stored token; whoever has it could get the token anyway. Empty: nothing is stored
	Inputs []string // "name=value": everything else that decides which token comes back; not secret

	// Credential is called when there is something to ask.
	Credential func(attempt) (azcore.TokenCredential, error)

	// Replaced, when not nil, tells whether Secret has meanwhile been replaced by another.
	Replaced func() bool

	// Unsure, when not nil, tells of a token that has just come whether it may belong to other Inputs: then it is not stored.
	Unsure func() bool

	// Asking, when not nil, tells whether a person is being asked by another process: the method is one that asks.
	Asking func(context.Context) bool

	// Facts are what explanations may name, by placeholder; nothing secret. "authority" is who was asked, where that is not Entra ID.
	Facts func() map[string]string
}

// inputs are those of most logins: all that stands in a token request, but for the secret.
func (r Request) inputs(wr wire) []string {
	return []string{
		"method=" + r.Login, "authority=" + wr.authority, "tenant=" + r.TenantID, "client=" + r.ClientID,
		"audience=" + r.audience(), "region=" + wr.region, "type=" + r.tokenType(),
	}
}

// asking are the flags that matter wherever Entra ID is asked.
var asking = []string{"server-id", "environment", "authority-host", "disable-instance-discovery", "timeout"}

// identity is what most stanzas say of who logs in.
var identity = []string{"client-id", "tenant-id"}

// personal is what a person's stanza says, and mostly what an application's does.
var personal = []string{"client-id", "tenant-id", "environment"}

// pop are given together or not at all.
var pop = []string{"pop-enabled", "pop-claims"}

// Methods are all login methods, in the order in which the help names them.
var Methods = []Method{deviceCode, interactive, servicePrincipal, usernamePassword, managedIdentity, azureCLI, azureDeveloperCLI, workloadIdentity, azurePipelines}

// MethodNames returns the names of all methods.
func MethodNames() []string { return names(func(Method) bool { return true }) }

// MethodsWith returns the names of the methods to which a flag means something.
func MethodsWith(flag string) []string { return names(func(m Method) bool { return m.takes(flag) }) }

func names(of func(Method) bool) []string {
	var names []string
	for _, m := range Methods {
		if of(m) {
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
