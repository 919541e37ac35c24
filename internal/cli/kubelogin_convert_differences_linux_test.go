package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/entratest"
)

// convertDifference is a way in which a conversion ends otherwise than kubelogin's. Its functions
// tell whether they changed something.
type convertDifference struct {
	name, reason  string
	changeInput   func(c *convertCase, u *oldUser) bool                  // changes what kubelogin is asked to convert
	changeUser    func(c *convertCase, u oldUser, s *convertedUser) bool // changes what it made of a user, given what that was at first
	changeOutcome func(c *convertCase, o *convertOutcome) bool           // changes how it ended
}

// convertDifferences are all of them, in the order in which they are applied.
var convertDifferences = []convertDifference{
	{name: "a shadowed user", reason: "what clients read is the first file's; kubelogin mixes both users, and writes the mixture where nobody reads it",
		changeInput: func(c *convertCase, u *oldUser) bool {
			if u.shadowed {
				*u = oldUser{name: "another", other: map[string]any{"token": "x"}}
			}
			return u.name == "another"
		}},
	{name: "another program's arguments", reason: "other programs are called kubelogin too, and their users would lose their logins",
		changeInput: func(c *convertCase, u *oldUser) bool {
			if u.exec == nil || u.exec.flags != nil {
				return false
			}
			u.exec, u.other = nil, map[string]any{"token": "x"}
			return true
		}},
	{name: "spellings of old arguments", reason: "kubelogin reads --flag value only, and forgets --flag=value and -f value",
		changeInput: func(c *convertCase, u *oldUser) bool {
			if u.exec == nil {
				return false
			}
			before := u.exec.args
			u.exec.setFlags(nil)
			return slices.ContainsFunc(u.exec.args, func(arg string) bool { return strings.HasPrefix(arg, "--") && !slices.Contains(before, arg) })
		}},
	{name: "no login method is given", reason: "a person who changes a flag does not ask for devicecode",
		changeInput: func(c *convertCase, u *oldUser) bool {
			if u.exec == nil || c.flags["login"] != "" || c.loginVariable != "" && c.flags["disable-environment-override"] == "" {
				return false
			}
			u.login = u.exec.flags["login"]
			return u.login != "devicecode"
		}},
	{name: "typed --legacy=false", reason: "what is typed wins",
		changeInput: func(c *convertCase, u *oldUser) bool {
			if c.flags["legacy"] != "false" || !u.legacy() {
				return false
			}
			if u.provider != nil {
				u.provider["config-mode"] = "1"
			} else {
				u.exec.setFlags(map[string]string{"legacy": "false"})
			}
			return true
		}},
	{name: "no server ID", reason: "AKS has the same one everywhere",
		changeInput: func(c *convertCase, u *oldUser) bool {
			switch {
			case c.flags["server-id"] != "":
				return false
			case u.provider != nil && u.provider["apiserver-id"] == "":
				u.provider["apiserver-id"] = entratest.AKSServerID
			case u.exec != nil && u.exec.flags["server-id"] == "":
				u.exec.setFlags(map[string]string{"server-id": entratest.AKSServerID})
			default:
				return false
			}
			return true
		}},
	{name: "the same method", reason: "converting again must not take flags away",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			if u.exec == nil || u.exec.flags["login"] != s.args["login"] {
				return false
			}
			before, typed := maps.Clone(s.args), canonicalNames(c.flags)
			for flag, value := range canonical(u.exec.flags) {
				if _, written := s.args[flag]; written {
					continue
				}
				if again, overlaid := typed[flag]; overlaid && slices.Contains(methodFlags[s.args["login"]], flag) {
					value = again
				}
				s.args[flag] = value
			}
			s.args = canonical(s.args)
			return !maps.Equal(before, s.args)
		}},
	{name: "both names of an identity", reason: "the other one would contradict what is typed, or is not read",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			if s.args["login"] != "msi" || s.args["client-id"] == "" || s.args["identity-resource-id"] == "" {
				return false
			}
			if c.flags["identity-resource-id"] != "" && c.flags["client-id"] == "" {
				delete(s.args, "client-id")
			} else {
				delete(s.args, "identity-resource-id")
			}
			return true
		}},
	{name: "typed flags that kubelogin drops", reason: "get-token reads them",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			changed := false
			for flag, methods := range droppedFlags {
				if value := canonical(c.flags)[flag]; value != "" && s.args[flag] != value && (methods == nil || slices.Contains(methods, s.args["login"])) {
					s.args[flag], changed = value, true
				}
			}
			return changed
		}},
	{name: "the rest of an old stanza", reason: "somebody wrote it for a reason",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			s.kept = map[string]any{"interactiveMode": nil, "provideClusterInfo": nil, "installHint": nil}
			if u.exec == nil {
				return true
			}
			added := s.env
			s.env = maps.Clone(u.exec.env)
			maps.Copy(s.env, added)
			maps.Copy(s.kept, u.exec.others)
			return true
		}},
	{name: "the command", reason: "it is this program",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool { s.command = "akslogin"; return true }},
	{name: "nothing matched", reason: "a person who converts nothing has made a mistake",
		changeOutcome: func(c *convertCase, o *convertOutcome) bool {
			changed := !o.failed && len(o.converted) == 0
			o.failed = o.failed || changed
			return changed
		}},
}

// droppedFlags are those that kubelogin's convert-kubeconfig takes and forgets, and the methods
// that read them; nil: all do.
var droppedFlags = map[string][]string{
	"environment": {"workloadidentity", "azurepipelines"}, "client-id": {"azurepipelines"},
	"authority-host": {"devicecode", "interactive", "spn", "ropc", "azurepipelines"}, "disable-instance-discovery": {"devicecode", "interactive", "spn", "ropc", "workloadidentity", "azurepipelines"},
	"pop-enabled": {"workloadidentity", "azurepipelines"}, "pop-claims": {"workloadidentity", "azurepipelines"},
	"timeout": nil, "use-azurerm-env-vars": nil, "disable-environment-override": nil,
}
