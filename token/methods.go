package token

import (
	"slices"
)

// Methods are all login methods, in the order in which the help names them.
var Methods = []Method{
	deviceCode,
	interactive,
	servicePrincipal,
	usernamePassword,
	managedIdentity,
	azureCLI,
	azureDeveloperCLI,
	workloadIdentity,
	azurePipelines,
}

// MethodNames returns the names of all methods.
func MethodNames() []string { return methodNamesWhere(func(Method) bool { return true }) }

// MethodsWith returns the names of the methods to which a flag means something.
func MethodsWith(flag string) []string {
	return methodNamesWhere(func(m Method) bool { return m.usesFlag(flag) })
}

func methodNamesWhere(of func(Method) bool) []string {
	var names []string
	for _, m := range Methods {
		if of(m) {
			names = append(names, m.Name)
		}
	}
	return names
}

func MethodByName(name string) (Method, bool) {
	i := slices.IndexFunc(Methods, func(m Method) bool { return m.Name == name })
	if i < 0 {
		return Method{}, false
	}
	return Methods[i], true
}

// entraFlags are the flags that matter wherever Entra ID is asked.
var entraFlags = []string{
	"server-id",
	"environment",
	"authority-host",
	"disable-instance-discovery",
	"timeout",
}

// identityFlags is what most stanzas say of who logs in.
var identityFlags = []string{"client-id", "tenant-id"}

// accountFlags is what a person's stanza says, and mostly what an application's does.
var accountFlags = []string{"client-id", "tenant-id", "environment"}

// popFlags are given together or not at all.
var popFlags = []string{"pop-enabled", "pop-claims"}
