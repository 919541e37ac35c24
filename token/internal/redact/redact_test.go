package redact

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

func TestLongNamesAreNotRedacted(t *testing.T) {
	for _, text := range []string{
		"AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:astronomer-shining-nebula-1234:shining-nebula-1234-worker-serviceaccount'.",
		"https://eastus.oic.prod-aks.azure.com/11111111-aaaa-4444-8888-000000000001/22222222-bbbb-4444-8888-000000000001/",
		"/var/run/secrets/azure/tokens/azure-identity-token",
		"/secrets/googleServiceAccountKeyJson/tok",
		"repo:Octo-Org/HoneyJar-Service:ref:refs/heads/main",
		"MC_MyResourceGroup-Production_MyCluster01_westeurope",
		"StanleyJones.onmicrosoft.com",
		"6DAE42F8-4368-4678-94FF-3960E28E3630",
		"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		"googleServiceAccountKeyJsonFileNameOfTheProductionCluster",
		"https://mycluster-dns-1a2b3c4d.privatelink.9f8e7d6c-5b4a-3210-fedc-ba9876543210.eastus2.azmk8s.io:443/",
	} {
		if got := Excerpt(text); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	formats := []string{
		"%s", "got '%s' here", "client_assertion=%s&x=y", "a%%3D%s", "(%s)", "https://x/%s/y",
		"AADSTS1: %s.",
		strings.Repeat("a", 300) + "%s", "%s" + strings.Repeat("a", 300), // one word with it
	}
	for _, secret := range []string{
		"7bV8Q~aBcDeFgHiJkLmN.oPqRsTuVwXyZ0123_45",
		"q1W8Q~xY2zA3bC4dE5fG6hI7jK8lM9nO0pQ1rS2t",
		strings.Split(tokentest.SecretToken, ".")[0],
		strings.Split(tokentest.SecretToken, ".")[1],
		strings.Split(tokentest.SecretToken, ".")[2],
	} {
		for _, format := range formats {
			text := fmt.Sprintf(format, secret)
			if got := Excerpt(text); strings.Contains(got, secret) {
				t.Errorf("%s shows the secret", got)
			}
		}
	}
	for _, secret := range []string{
		"eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln", // too short to be found inside another word
		"eyJhbGciOiJSUzI1NiJ9",
	} {
		for _, format := range formats[:7] {
			text := fmt.Sprintf(format, secret)
			if got := Excerpt(text); strings.Contains(got, secret) {
				t.Errorf("%s shows the secret", got)
			}
		}
	}
}

// A claims challenge looks like a JWT and is shown. Whatever else such a word holds is redacted.
func TestClaimsChallengeIsShown(t *testing.T) {
	encode := base64.StdEncoding.EncodeToString
	for text, shown := range map[string]bool{
		`{"access_token":{"nbf":{"essential":true,"value":"1650000000"}}}`:                                   true,
		`{"access_token":{"acrs":{"essential":true,"values":["p1","urn:microsoft:req1"]},"xms_cc":null}}`:    true,
		`{"access_token":{"capolids":{"essential":true,"values":["010cbe0f-0895-42dc-964a-c7537094cbc4"]}}}`: true,
		`{"access_token":"` + tokentest.SecretToken + `"}`:                                                   false,
		`{"access_token":{"nbf":{"value":"` + tokentest.SecretToken + `"}}}`:                                 false,
		`{"access_token":{"nbf":{"value":"1"}}} {"alg":"RS256"}`:                                             false,
		`{"access_token":{"nbf":{"value":"1","secret":"2"}}}`:                                                false,
		`{"alg":"RS256","access_token":{"nbf":null}}`:                                                        false,
		`{"access_token":{}}`: false,
	} {
		word := encode([]byte(text))
		if got := Excerpt("--claims-challenge \"" + word + "\""); strings.Contains(got, word) != shown {
			t.Errorf("%s became %s", text, got)
		}
	}
	const password = "hunter2hunter2"
	Remember(password)
	word := encode([]byte(`{"access_token":{"nbf":{"value":"` + password + `"}}}`))
	if got := Excerpt(word); strings.Contains(got, word) {
		t.Errorf("%s holds a secret of this process", got)
	}
}

// Leaving out characters does not put a token together.
func TestTokenWithInvisibleCharactersIsRedacted(t *testing.T) {
	for _, separator := range []string{"\u200b", "\u3164", "\ufe0f", "\xff", "\u00ad"} {
		for part := range strings.SplitSeq(tokentest.SecretToken, ".") {
			text := part[:9] + separator + part[9:18] + separator + part[18:27] + separator + part[27:]
			if got := Line(text); got != placeholder {
				t.Errorf("%q became %q", text, got)
			}
		}
	}
}

func TestLineHasNoInvisibleCharacters(t *testing.T) {
	for _, c := range "\u3164\u115f\u1160\uffa0\ufe0f\ufe00\u034f\u180b\u180f\u17b4\u17b5\u2065\ufff0" +
		"\u00ad\u061c\u180e\u200b\u200d\u202e\u2060\u2069\ufeff\U000e0001\U000e0041\U000e01ef\U000e0fff" +
		"\U0001bca0\U0001d173\u2028\u2029" {
		if got := Line("a" + string(c) + "b"); got != "ab" {
			t.Errorf("%U: %q", c, got)
		}
	}
	for _, c := range "\u2800\u00a0\u1680\u2000\u200a\u202f\u205f\u3000\U0001d159\U00016fe4\t\x00\x1b\u0085" {
		text := "a" + strings.Repeat(string(c), 40) + " " + string(c) + "b" + string(c)
		if got := Line(text); got != "a b" {
			t.Errorf("%U: %q", c, got)
		}
	}
	hidden := []*unicode.RangeTable{
		unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Variation_Selector,
		unicode.Other_Default_Ignorable_Code_Point,
	}
	for c := range rune(unicode.MaxRune + 1) {
		if unicode.In(c, hidden...) && StripInvisible("a"+string(c)+"b") != "ab" {
			t.Errorf("%U is shown", c)
		}
	}
}

func TestStackedMarksAreBounded(t *testing.T) {
	for text, want := range map[string]string{
		"a" + strings.Repeat("\u0301", 50) + "b":              "a" + strings.Repeat("\u0301", 4) + "b",
		"a" + strings.Repeat("\u0301\u034f\u20dd", 50):        "a\u0301\u20dd\u0301\u20dd",
		"\u0e01\u0e34\u0e48 e\u0302\u0323 \u0915\u094d\u0937": "\u0e01\u0e34\u0e48 e\u0302\u0323 \u0915\u094d\u0937",
	} {
		if got := Line(text); got != want {
			t.Errorf("%+q became %+q", text, got)
		}
	}
}
