package token

import (
	"cmp"
	"slices"
	"strings"
)

// loginNames returns the login methods that login names. Several are in order, with commas between
// them: [Request.Resolve] chooses the first whose needs are met on this machine, so that one
// kubeconfig serves on laptops and in CI.
func loginNames(login string) []string {
	names := strings.Split(login, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
	}
	return names
}

// repeatedLogin returns the first method that login names more than once, "" if there is none.
func repeatedLogin(login string) string {
	names := loginNames(login)
	for i, name := range names {
		if _, known := MethodByName(name); known && slices.Contains(names[:i], name) {
			return name
		}
	}
	return ""
}

// inOrder returns what stands for several methods in an exec config: a Method that has their flags
// and cannot log in.
func inOrder(login string, methods []Method) Method {
	all := Method{Name: login, Stanza: Stanza{NoServerID: true}}
	for _, m := range methods {
		all.Required = append(all.Required, m.Required...)
		all.Optional = append(all.Optional, m.Optional...)
		all.Interactive = all.Interactive || m.Interactive
		for _, flag := range m.Stanza.Flags {
			if !slices.Contains(all.Stanza.Flags, flag) {
				all.Stanza.Flags = append(all.Stanza.Flags, flag)
			}
		}
		all.Stanza.Inherited = append(all.Stanza.Inherited, m.Stanza.Inherited...)
		all.Stanza.NoServerID = all.Stanza.NoServerID && m.Stanza.NoServerID
		if m.Stanza.ConfigDirVariable != "" {
			all.Stanza.ConfigDirVariable = m.Stanza.ConfigDirVariable
		}
	}
	if all.usesFlag(federatedTokenFlags[0]) {
		all.Stanza.Exclusive = federatedTokenFlags
	}
	// A cluster takes proofs of possession or bearer tokens, whichever login is chosen.
	if slices.ContainsFunc(methods, func(m Method) bool { return !m.usesFlag("pop-enabled") }) {
		isPoP := func(flag string) bool { return slices.Contains(popFlags, flag) }
		all.Optional = slices.DeleteFunc(all.Optional, isPoP)
		all.Stanza.Flags = slices.DeleteFunc(all.Stanza.Flags, isPoP)
	}
	return all
}

// isInOrder reports whether m stands for several methods.
func (m Method) isInOrder() bool { return m.Open == nil }

// chooseLogin returns the request for the first of several logins whose needs are met here. written
// is r.ResolveStanza(explicit, getenv), and names the logins.
func (r Request) chooseLogin(
	written Request,
	explicit func(flag string) bool,
	getenv func(string) string,
) (Request, error) {
	isExplicit := func(flag string) bool { return flag == "login" || explicit(flag) }
	withoutLogin := func(variable string) string {
		isLogin := func(v Variable) bool { return v.Name == variable }
		if slices.ContainsFunc(flagVariables("login"), isLogin) {
			return ""
		}
		return getenv(variable)
	}
	var skipped []string
	names := loginNames(written.Login)
	for _, name := range names {
		one := r
		one.Login = name
		one, err := one.ResolveStanza(isExplicit, withoutLogin)
		if err != nil {
			return one, err
		}
		// An invalid place of an input must not look like an absent input.
		m, _ := MethodByName(name)
		if err := cmp.Or(one.checkTokenVariable(), one.checkShellVariables(m)); err != nil {
			return one, err
		}
		need := one.unmetNeed(getenv)
		if need == "" {
			one.From["login"] = written.From["login"]
			one.loginOrder, one.skippedLogins = written.Login, skipped
			one.otherLogins = slices.DeleteFunc(slices.Clone(Methods), func(m Method) bool {
				return m.Name == name || !slices.Contains(names, m.Name)
			})
			return one, nil
		}
		skipped = append(skipped, name+": "+need)
	}
	return written, &UsageError{
		Text: "none of the logins " + written.Login + written.sourceNote("login") +
			" can be used here: " + strings.Join(skipped, "; "),
		Hint: "give one of them what it lacks on the machine where the client runs, or name another login",
	}
}

// unmetNeed returns what r's login method lacks on this machine, "" if nothing. It sends nothing.
func (r Request) unmetNeed(getenv func(string) string) string {
	m, _ := MethodByName(r.Login)
	if missing := r.missingFlags(m, anyFlags); missing != nil {
		return "no --" + strings.Join(missing, " or --")
	}
	if m.UnmetNeed == nil {
		return ""
	}
	return m.UnmetNeed(r, getenv)
}

// TookFirstLogin reports whether r's login method is the only one that was named, or the first.
func (r Request) TookFirstLogin() bool { return len(r.skippedLogins) == 0 }

// isForAnotherLogin reports whether another one of several logins in order reads the flag.
func (r Request) isForAnotherLogin(flag string) bool {
	return slices.ContainsFunc(r.otherLogins, func(m Method) bool { return m.usesFlag(flag) })
}
