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

	// Open reads what the method presents; it does not use the network. nil: the method is not built yet.
	Open func(Request, World, wire) (Login, error)
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

// Methods are all login methods, in the order in which the help names them.
var Methods = []Method{
	{Name: "devicecode"},
	{Name: "interactive"},
	{Name: "spn", Own: []string{"client-id"}},
	{Name: "ropc"},
	{Name: "msi"},
	{Name: "azurecli"},
	{Name: "azd"},
	workloadIdentity,
	{Name: "azurepipelines", Own: []string{"client-id"}},
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
