package token

import "slices"

// Methods are all login methods, in the order in which help lists them.
var Methods = []Method{
	deviceCode,
	interactive,
	servicePrincipal,
	usernamePassword,
	managedIdentity,
	federatedManagedIdentity,
	azureCLI,
	azureDeveloperCLI,
	workloadIdentity,
	azurePipelines,
	jwtLogin,
}

const (
	// DefaultPodMethod names the method that an exec config of this program gets by default.
	DefaultPodMethod = workloadIdentityName

	// FallbackMethod names the method that is used if none is named and none is detected. It is
	// also kubelogin's default.
	FallbackMethod = deviceCodeName
)

// MethodNames returns the names of all methods.
func MethodNames() []string { return methodNamesWhere(func(Method) bool { return true }) }

// MethodsWith returns the names of the methods for which a flag, named without dashes, has a
// meaning.
func MethodsWith(flag string) []string {
	return methodNamesWhere(func(m Method) bool { return m.usesFlag(flag) })
}

func methodNamesWhere(match func(Method) bool) []string {
	var names []string
	for _, m := range Methods {
		if match(m) {
			names = append(names, m.Name)
		}
	}
	return names
}

// MethodByName returns the method with the given name. known is false if there is none. For several
// names in order (see [Request.Resolve]) it returns what stands for all of them in an exec config.
func MethodByName(name string) (_ Method, known bool) {
	var all []Method
	for _, one := range loginNames(name) {
		m, known := findMethod(func(m Method) bool { return m.Name == one })
		if !known {
			return Method{}, false
		}
		all = append(all, m)
	}
	if len(all) == 1 {
		return all[0], true
	}
	return inOrder(name, all), true
}

// detectableMethod returns the first method that is used without being named.
func detectableMethod() (_ Method, found bool) {
	return findMethod(func(m Method) bool { return m.Detect != nil })
}

func findMethod(match func(Method) bool) (_ Method, found bool) {
	i := slices.IndexFunc(Methods, match)
	if i < 0 {
		return Method{}, false
	}
	return Methods[i], true
}
