package entra

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// Errors about a metadata service's or the device endpoint's response do not repeat the response.
// A response that is passed on to MSAL is valid.
func FuzzMetadataAndDeviceCodeResponse(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"` + tokentest.SecretToken + `","client_id":"c","expires_in":"86400","expires_on":"1893500000","resource":"r","token_type":"Bearer","refresh_in":"43200"}`,
		`{"access_token":"abc","expires_on":"1893500000","expires_in":[],"token_type":5}`,
		`{"access_token":"abc","expires_in":"x` + tokentest.SecretToken + `"}`,
		`{"device_code":"` + tokentest.SecretToken + `","user_code":"ABC","verification_uri":"https://x/","expires_in":900,"interval":5,"message":"enter ABC\u001b[31m\n` + tokentest.SecretToken + `"}`,
		`{"device_code":5}`,
		`{"device_code":"0","user_code":" ","expires_in":1}`,
		`{"device_code":"0","user_code":"\u3164","expires_in":1}`,
		`{"device_code":"secret","user_code":"ABC","expires_in":900,"message":"` + strings.Repeat("a", 300) + tokentest.SecretToken + `"}`,
		`<html>` + tokentest.SecretToken,
	} {
		f.Add([]byte(seed))
	}
	now := time.Unix(1893456000, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		if passed, err := checkMetadataResponse(body, now); err != nil {
			tokentest.WantRedacted(t, err.Error())
		} else {
			var response struct {
				AccessToken string `json:"access_token"`
				ExpiresIn   int64  `json:"expires_in"`
			}
			err := json.Unmarshal(passed, &response)
			lifetime := time.Duration(response.ExpiresIn) * time.Second
			if err != nil || !IsBearerToken(response.AccessToken) ||
				response.ExpiresIn <= 0 || lifetime > MaxTokenLifetime {
				t.Fatalf("%s passes: %+v, %v", body, response, err)
			}
		}
		if passed, err := checkDeviceCodeResponse(body); err != nil {
			tokentest.WantRedacted(t, err.Error())
		} else {
			var response struct {
				UserCode string `json:"user_code"`
				Message  string `json:"message"`
			}
			if err := json.Unmarshal(passed, &response); err != nil || response.UserCode == "" {
				t.Fatalf("%s passes: %+v, %v", body, response, err)
			}
			tokentest.WantRedacted(t, response.UserCode)
			tokentest.WantRedacted(t, response.Message)
		}
	})
}

// Only an account whose password Entra ID checks itself passes, whatever else is in the response.
func FuzzUserRealmResponse(f *testing.F) {
	for _, seed := range []string{
		`{"account_type":"Managed","domain_name":"contoso.example","cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:x"}`,
		`{"account_type":"Federated","federation_metadata_url":"https://evil.example/mex"}`,
		`{"account_type":"Managed","account_type":"Federated","federation_protocol":"WSTrust"}`,
		`{"ACCOUNT_TYPE":"managed"}`,
		`{"account_type":"Unknown"}`,
		`[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		passed, err := checkUserRealmResponse(body)
		if err != nil {
			tokentest.WantRedacted(t, err.Error())
			return
		}
		var fields map[string]string
		err = json.Unmarshal(passed, &fields)
		isManaged := strings.EqualFold(fields["account_type"], "Managed")
		if err != nil || !isManaged || len(fields) != 4 {
			t.Fatalf("%s passes as %s", body, passed)
		}
		again, err := checkUserRealmResponse(passed)
		if err != nil || !bytes.Equal(again, passed) {
			t.Fatalf("%s, then %s, %v", passed, again, err)
		}
	})
}
