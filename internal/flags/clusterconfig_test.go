package flags

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token"
)

// No setting is a secret, and each is a flag of a string.
func TestClusterSettingsAreNotSecret(t *testing.T) {
	for _, flag := range clusterSettings {
		field := GetTokenField(flag)
		if field == nil || field.Tag.Get("secret") != "" || field.Type.Kind().String() != "string" {
			t.Errorf("%s cannot be a setting of a cluster", flag)
		}
	}
}

func TestSettingNameSpellings(t *testing.T) {
	for flag, spellings := range map[string]string{
		"tenant-id":            "tenant-id tenantId tenantID TenantId TENANT_ID AZURE_TENANT_ID tenant_id",
		"federated-token-file": "federatedTokenFile AZURE_FEDERATED_TOKEN_FILE",
		"authority-host":       "authorityHost AZURE_AUTHORITY_HOST",
	} {
		for spelling := range strings.SplitSeq(spellings, " ") {
			if settingName(spelling) != settingName(flag) {
				t.Errorf("%s is not %s", spelling, flag)
			}
		}
	}
}

// Any config sets only settings, to strings that it contains. The error repeats no value.
func FuzzClusterConfig(f *testing.F) {
	for _, config := range []string{
		``, `null`, `{}`, `[]`, `"x"`, `1`, `{`, `{"tenantId":"a","tenant-id":"b"}`,
		`{"tenantId":1}`, `{"client-id":{"a":"value"}}`, `{"serverId":[[[]]]}`, `{"environment":false}`,
		`{"clientSecret":"value","password":"value","login":"spn"}`, `{"POP_CLAIMS":"u=\u0000"}`,
		`{"tenant\u001b[31mId":"x"}`, `{"AZURE__CLIENT--id":"\ud800","clientId":null}`,
		`{"authorityHost":"","authority_host":"https://x"}`,
	} {
		f.Add([]byte(config), "https://user:password@one.example:443/path")
	}
	f.Fuzz(func(t *testing.T, config []byte, server string) {
		set, ignored, err := ReadClusterConfig(config, server)
		if err != nil {
			usage := new(token.UsageError)
			if !errors.As(err, &usage) || set != nil || ignored != nil {
				t.Fatalf("%T with %q, %q", err, set, ignored)
			}
			if strings.Contains(err.Error(), "password@") {
				t.Fatalf("%q shows the server's password", err)
			}
			return
		}
		var fields map[string]any
		_ = json.Unmarshal(config, &fields)
		for flag, value := range set {
			stands := false
			for key, v := range fields {
				stands = stands || v == any(value) && settingName(key) == settingName(flag)
			}
			if !slices.Contains(clusterSettings, flag) || !stands || value == "" {
				t.Fatalf("%s sets %s to %q", config, flag, value)
			}
		}
		for _, key := range ignored {
			if _, ok := fields[key]; !ok && fields != nil {
				t.Fatalf("%q is no key of %s", key, config)
			}
		}
	})
}
