package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/entratest"
)

// convertDifference is an intended difference from kubelogin's conversions. Its functions change
// kubelogin's input or outcome to what akslogin's must be, and report whether they changed
// anything.
type convertDifference struct {
	name, reason string

	// changeInput changes a user before kubelogin converts it.
	changeInput func(c *convertCase, u *oldUser) bool

	// changeUser changes a user that kubelogin has converted; u is the user before.
	changeUser func(c *convertCase, u oldUser, s *convertedUser) bool

	// changeOutcome changes the outcome of kubelogin's conversion.
	changeOutcome func(c *convertCase, o *convertOutcome) bool
}

// convertDifferences are all differences, in the order in which they are applied.
var convertDifferences = []convertDifference{
	{name: "shadowed user", reason: "clients read the user in the first file; kubelogin mixes both users, and writes the result where no client reads it",
		changeInput: func(c *convertCase, u *oldUser) bool {
			if u.shadowed {
				*u = oldUser{name: "another", other: map[string]any{"token": "x"}}
			}
			return u.name == "another"
		}},
	{name: "another program's arguments", reason: "other programs are called kubelogin too, and their users must stay as they are",
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
			return slices.ContainsFunc(u.exec.args, func(arg string) bool {
				return strings.HasPrefix(arg, "--") && !slices.Contains(before, arg)
			})
		}},
	{name: "no login method", reason: "changing another flag does not ask for devicecode",
		changeInput: func(c *convertCase, u *oldUser) bool {
			fromVariable := c.loginVariable != "" && c.flags["disable-environment-override"] == ""
			if u.exec == nil || c.flags["login"] != "" || fromVariable {
				return false
			}
			u.login = u.exec.flags["login"]
			return u.login != "devicecode"
		}},
	{name: "no server ID", reason: "AKS has the same server ID everywhere",
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
	{name: "same method", reason: "a second conversion must not drop flags",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			if u.exec == nil || u.exec.flags["login"] != s.args["login"] {
				return false
			}
			before, explicit := maps.Clone(s.args), canonicalNames(c.flags)
			for flag, value := range normalizeFlags(u.exec.flags) {
				if _, written := s.args[flag]; written {
					continue
				}
				isOfMethod := slices.Contains(methodFlags[s.args["login"]], flag)
				if newValue, ok := explicit[flag]; ok && isOfMethod {
					value = newValue
				}
				s.args[flag] = value
			}
			s.args = normalizeFlags(s.args)
			return !maps.Equal(before, s.args)
		}},
	{name: "--legacy", reason: "get-token refuses it: clusters have not accepted its tokens since 2023",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			legacy := s.args["legacy"] != ""
			delete(s.args, "legacy")
			return legacy
		}},
	{name: "both IDs of an identity", reason: "the other ID would contradict the explicit one, or is not read",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			return s.args["login"] == "msi" && dropSecond(c, s, "client-id", "identity-resource-id")
		}},
	{name: "tenant of az and azd", reason: "the active account may be of another tenant, whose token the cluster refuses",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			isTool := slices.Contains([]string{"azurecli", "azd"}, s.args["login"])
			tenant := u.provider["tenant-id"]
			if u.exec != nil {
				tenant = normalizeFlags(u.exec.flags)["tenant-id"]
			}
			shared := slices.Contains([]string{"common", "organizations", "consumers"}, tenant)
			if !isTool || tenant == "" || shared || s.args["tenant-id"] != "" {
				return false
			}
			s.args["tenant-id"] = tenant
			return true
		}},
	{name: "subscription and tenant", reason: "az takes one of them, and get-token refuses both",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			return s.args["login"] == "azurecli" && dropSecond(c, s, "subscription", "tenant-id")
		}},
	{name: "explicit flags that kubelogin drops", reason: "get-token reads them",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			changed := false
			for flag, methods := range droppedFlags {
				value := normalizeFlags(c.flags)[flag]
				isRead := methods == nil || slices.Contains(methods, s.args["login"])
				if value != "" && s.args[flag] != value && isRead {
					s.args[flag], changed = value, true
				}
			}
			return changed
		}},
	{name: "other fields of an exec config", reason: "they were written for a reason",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			s.fields = map[string]any{
				"interactiveMode": nil, "provideClusterInfo": nil, "installHint": nil,
			}
			if u.exec == nil {
				return true
			}
			added := s.env
			s.env = maps.Clone(u.exec.env)
			maps.Copy(s.env, added)
			maps.Copy(s.fields, u.exec.others)
			return true
		}},
	{name: "command", reason: "it is this program",
		changeUser: func(c *convertCase, u oldUser, s *convertedUser) bool {
			s.command = "akslogin"
			return true
		}},
	{name: "nothing to convert", reason: "a conversion of nothing is a mistake",
		changeOutcome: func(c *convertCase, o *convertOutcome) bool {
			changed := !o.failed && len(o.converted) == 0
			o.failed = o.failed || changed
			return changed
		}},
}

// dropSecond removes one of two flags, if both are written: the second, unless it alone is
// explicit.
func dropSecond(c *convertCase, s *convertedUser, first, second string) bool {
	if s.args[first] == "" || s.args[second] == "" {
		return false
	}
	if c.flags[second] != "" && c.flags[first] == "" {
		second = first
	}
	delete(s.args, second)
	return true
}

// droppedFlags are flags that kubelogin's convert-kubeconfig accepts and drops, with the methods
// that read them; nil: all methods.
var droppedFlags = map[string][]string{
	"environment":                  {"workloadidentity", "azurepipelines"},
	"client-id":                    {"azurepipelines"},
	"authority-host":               {"devicecode", "interactive", "spn", "ropc", "azurepipelines"},
	"disable-instance-discovery":   {"devicecode", "interactive", "spn", "ropc", "workloadidentity", "azurepipelines"},
	"pop-enabled":                  {"workloadidentity", "azurepipelines"},
	"pop-claims":                   {"workloadidentity", "azurepipelines"},
	"timeout":                      nil,
	"use-azurerm-env-vars":         nil,
	"disable-environment-override": nil,
}
