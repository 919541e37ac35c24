package token

// ciSystems are the CI systems that [workloadIdentity] gets federated tokens from, in the order in
// which they are tried. A new one needs an entry here and a file that declares it.
var ciSystems = []ciSystem{gitHubActions}

// CISystem is a CI system from which workloadidentity gets federated tokens without a file.
type CISystem struct {
	Name      string
	Variables []string // set in a job that may ask for federated tokens
}

// CISystems returns the CI systems in the order in which they are tried.
func CISystems() (all []CISystem) {
	for _, c := range ciSystems {
		all = append(all, CISystem{c.name, []string{c.urlVariable, c.tokenVariable}})
	}
	return all
}

// findCISystem returns the CI system that r's federated token comes from. It finds none if r names
// a file or a variable.
func findCISystem(r Request, getenv func(string) string) (_ ciSystem, found bool) {
	for _, c := range ciSystems {
		if !r.namesFederatedToken() && c.isAvailable(getenv) {
			return c, true
		}
	}
	return ciSystem{}, false
}

// incompleteCIHint returns the hint for a job in which a CI system's variables are set only in
// part, or "".
func incompleteCIHint(r Request, getenv func(string) string) string {
	for _, c := range ciSystems {
		if !r.namesFederatedToken() && c.isIncomplete(getenv) {
			return c.incompleteHint()
		}
	}
	return ""
}
