package token

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// SourceFindings reports for every flag that r's login reads where its value comes from, and which
// values from weaker sources it overrides.
//
// r is the result of unresolved.Resolve(explicit, getenv). sourceName returns how to call a source,
// which has the form of the values in Request.From.
func (r Request) SourceFindings(
	unresolved Request,
	explicit func(flag string) bool,
	getenv func(string) string,
	sourceName func(from string) string,
) []Finding {
	m, _ := MethodByName(r.Login)
	var all []Finding
	for i := range reflect.TypeFor[Request]().NumField() {
		tag := reflect.TypeFor[Request]().Field(i).Tag
		flag := tag.Get("name")
		from, ignored, _ := strings.Cut(r.From[flag], ", ")
		if from == "" {
			continue
		}
		found := Finding{Status: StatusInfo, Check: flag}
		if flag != "login" && !m.usesFlag(flag) && tag.Get("group") != "general" {
			if explicit(flag) {
				found.Text = "login " + r.Login + " does not read it (" + sourceName("--"+flag) + ")"
				all = append(all, found)
			}
			continue
		}
		found.Text = flagValueText(flag, r.flagValue(flag)) + " (" + sourceName(from) + ")"
		if flag == "login" && r.loginOrder != "" {
			found.Text += ", the first of " + r.loginOrder + " that can be used here"
			for _, skipped := range r.skippedLogins {
				found.Text += "; not " + skipped
			}
		}
		if ignored != "" {
			value := any(getenv(strings.TrimPrefix(from, "$")))
			switch from {
			case FromCluster:
				value = r.Cluster[flag]
			case "--" + flag:
				value = unresolved.flagValue(flag)
			}
			found.Text = flagValueText(flag, value) + " (" + sourceName(from) + ") is " + ignored
		}
		for _, s := range r.overriddenSources(unresolved, flag, from, explicit, getenv) {
			if s.value == fmt.Sprint(r.flagValue(flag)) {
				continue
			}
			found.Text += "; overrides " + flagValueText(flag, s.value) + " (" + sourceName(s.from) + ")"
			if s.from == "--"+flag {
				found.Status = StatusWarning
				found.Todo = "if the flag is what you mean, unset " + from + " or give --disable-environment-override"
			}
		}
		if flag == "client-id" && r.publicClientGiven {
			found.Text += "; " + PublicClientID + " is ignored: az writes it to every kubeconfig"
		}
		all = append(all, found)
	}
	return all
}

// source is a value for a flag, and where it comes from, in the form of the values in Request.From.
type source struct{ from, value string }

// overriddenSources returns the sources other than from that have a value for a flag.
func (r Request) overriddenSources(
	unresolved Request,
	flag, from string,
	explicit func(string) bool,
	getenv func(string) string,
) []source {
	var all []source
	value := fmt.Sprint(unresolved.flagValue(flag))
	if explicit(flag) && from != "--"+flag && !strings.EqualFold(value, PublicClientID) {
		all = append(all, source{"--" + flag, value})
	}
	if value := r.Cluster[flag]; value != "" && from != FromCluster {
		all = append(all, source{FromCluster, value})
	}
	for _, v := range flagVariables(flag) {
		if value := v.value(getenv); value != "" && r.readsVariable(v) && from != "$"+v.Name {
			all = append(all, source{"$" + v.Name, value})
		}
	}
	return all
}

// flagValueText returns a flag's value without what may be secret in it.
func flagValueText(flag string, value any) string {
	switch text := fmt.Sprint(value); {
	case isSecretFlag(flag):
		return "(secret)"
	case flag == "authority-host", flag == "redirect-url":
		return redact.URL(text)
	default:
		return text
	}
}
