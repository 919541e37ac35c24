package token

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// SourceFindings says of every flag that r's login reads where its value comes from, and which
// other values it won over. r is resolved; typed is what it was resolved from, with what told which
// flags were given; called says what a source is called where not by its own name.
func (r Request) SourceFindings(
	typed Request,
	given func(flag string) bool,
	getenv func(string) string,
	called func(from string) string,
) []Finding {
	m, _ := MethodByName(r.Login)
	var all []Finding
	for i := range reflect.TypeFor[Request]().NumField() {
		tag := reflect.TypeFor[Request]().Field(i).Tag
		flag := tag.Get("name")
		from, ignored, _ := strings.Cut(r.From[flag], ", ")
		switch {
		case from == "":
			continue
		case flag != "login" && !m.usesFlag(flag) && tag.Get("group") != "general":
			if given(flag) {
				all = append(
					all,
					Finding{
						Status: StatusOK,
						Check:  flag,
						Text: "login " + r.Login + " does not read it (" + called(
							"--"+flag,
						) + ")",
					},
				)
			}
			continue
		}
		found := Finding{
			Status: StatusOK,
			Check:  flag,
			Text:   flagValueText(flag, r.flagValue(flag)) + " (" + called(from) + ")",
		}
		if ignored != "" {
			found.Text = fmt.Sprintf(
				"%s (%s) is %s",
				flagValueText(flag, getenv(strings.TrimPrefix(from, "$"))),
				called(from),
				ignored,
			)
		}
		for _, lost := range r.overriddenSources(typed, flag, from, given, getenv) {
			if lost.value == fmt.Sprint(r.flagValue(flag)) {
				continue
			}
			found.Text += fmt.Sprintf(
				"; stronger than %s (%s)",
				flagValueText(flag, lost.value),
				called(lost.from),
			)
			if lost.from == "--"+flag {
				found.Status, found.Todo = StatusWarning, "if the flag is what you mean, unset "+from+" or give --disable-environment-override"
			}
		}
		if flag == "client-id" && r.publicClientGiven {
			found.Text += "; " + PublicClientID + " counts as not given: az writes it into every kubeconfig"
		}
		all = append(all, found)
	}
	return all
}

type source struct{ from, value string }

// overriddenSources are the sources of a flag that have a value and are not the one it came from.
func (r Request) overriddenSources(
	typed Request,
	flag, from string,
	given func(string) bool,
	getenv func(string) string,
) []source {
	var all []source
	if value := fmt.Sprint(
		typed.flagValue(flag),
	); given(flag) && from != "--"+flag &&
		!strings.EqualFold(value, PublicClientID) {
		all = append(all, source{"--" + flag, value})
	}
	for _, v := range flagVariables(flag) {
		if value := getenv(v.Name); value != "" && r.readsVariable(v) && from != "$"+v.Name {
			all = append(all, source{"$" + v.Name, value})
		}
	}
	return all
}

// flagValueText is a flag's value, or what of it is not secret.
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
