package entra

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// What a metadata service or Entra ID's device endpoint answers is not repeated, and what is passed
// on to MSAL was looked at.
func FuzzMetadataAndDeviceCodeResponse(f *testing.F) {
	f.Add([]byte(`{"access_token":"` + tokentest.SecretToken + `","client_id":"c","expires_in":"86400","expires_on":"1893500000","resource":"r","token_type":"Bearer","refresh_in":"43200"}`))
	f.Add([]byte(`{"access_token":"abc","expires_on":"1893500000","expires_in":[],"token_type":5}`))
	f.Add([]byte(`{"access_token":"abc","expires_in":"x` + tokentest.SecretToken + `"}`))
	f.Add([]byte(`{"device_code":"` + tokentest.SecretToken + `","user_code":"ABC","verification_uri":"https://x/","expires_in":900,"interval":5,"message":"enter ABC\u001b[31m\n` + tokentest.SecretToken + `"}`))
	f.Add([]byte(`{"device_code":5}`))
	f.Add([]byte(`<html>` + tokentest.SecretToken))
	now := time.Unix(1893456000, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		if out, err := checkMetadataResponse(body, now); err != nil {
			tokentest.WantRedacted(t, err.Error())
		} else {
			var a struct {
				Token   string `json:"access_token"`
				Expires int64  `json:"expires_in"`
			}
			if err := json.Unmarshal(out, &a); err != nil || !IsBearerToken(a.Token) || a.Expires <= 0 || time.Duration(a.Expires)*time.Second > MaxTokenLifetime {
				t.Fatalf("%s passes: %+v, %v", body, a, err)
			}
		}
		if out, err := checkDeviceCodeResponse(body); err != nil {
			tokentest.WantRedacted(t, err.Error())
		} else {
			var a struct {
				UserCode string `json:"user_code"`
				Message  string `json:"message"`
			}
			if err := json.Unmarshal(out, &a); err != nil || a.UserCode == "" {
				t.Fatalf("%s passes: %+v, %v", body, a, err)
			}
			tokentest.WantRedacted(t, a.UserCode)
			tokentest.WantRedacted(t, a.Message)
		}
	})
}

// Only an account whose password Entra ID checks itself passes, whatever else stands in the answer.
func FuzzUserRealmResponse(f *testing.F) {
	f.Add([]byte(`{"account_type":"Managed","domain_name":"contoso.example","cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:x"}`))
	f.Add([]byte(`{"account_type":"Federated","federation_metadata_url":"https://evil.example/mex"}`))
	f.Add([]byte(`{"account_type":"Managed","account_type":"Federated","federation_protocol":"WSTrust"}`))
	f.Add([]byte(`{"ACCOUNT_TYPE":"managed"}`))
	f.Add([]byte(`{"account_type":"Unknown"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		out, err := checkUserRealmResponse(body)
		if err != nil {
			tokentest.WantRedacted(t, err.Error())
			return
		}
		var passed map[string]string
		if err := json.Unmarshal(out, &passed); err != nil || !strings.EqualFold(passed["account_type"], "Managed") || len(passed) != 4 {
			t.Fatalf("%s passes as %s", body, out)
		}
		again, err := checkUserRealmResponse(out)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%s, then %s, %v", out, again, err)
		}
	})
}
