package entratest_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/internal/entratest"
)

func TestDeviceCode(t *testing.T) {
	for _, tenant := range []string{tenantID, "organizations"} {
		t.Run(tenant, func(t *testing.T) {
			s := newServerWithUsers(t)
			asked := make(chan azidentity.DeviceCodeMessage, 1)
			cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
				ClientOptions: clientOptions(t, s), DisableInstanceDiscovery: true, TenantID: tenant, ClientID: aksClient,
				UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error { asked <- m; return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				code, ok := s.WaitUserCode(testTimeout)
				if m := <-asked; !ok || m.UserCode != code || m.VerificationURL != "https://microsoft.com/devicelogin" || !strings.Contains(m.Message, code) {
					t.Errorf("%s %v %+v", code, ok, m)
				}
				s.WaitTokenRequests(1, testTimeout) // answered with authorization_pending
				if err := s.ApproveDevice(code, "mia@contoso.onmicrosoft.com"); err != nil {
					t.Error(err)
				}
			}()
			token, err := cred.GetToken(testContext(t), aksTokenOptions)
			if err != nil {
				t.Fatal(err)
			}
			wantClaims(t, verifiedClaims(t, s, token.Token), map[string]any{"upn": "mia@contoso.onmicrosoft.com", "tid": tenantID, "amr": []any{"pwd", "mfa"}})
			if s.DeviceCodeRequests() != 1 || s.Issued() != 1 || s.TokenRequests()-s.PendingPolls() != 1 || len(s.PendingUserCodes()) != 0 {
				t.Errorf("%d device codes, %d tokens, %d of %d polls pending", s.DeviceCodeRequests(), s.Issued(), s.PendingPolls(), s.TokenRequests())
			}
			want := []string{"devicecode " + tenant + " client_id scope"}
			for range s.TokenRequests() {
				want = append(want, "token "+tenant+" client_id client_info device_code grant_type scope")
			}
			wantOAuthRequests(t, s, want...)
		})
	}
}

// device begins a device's login and returns its form.
func device(t *testing.T, s *entratest.Server, tenant string) (form url.Values, userCode string) {
	t.Helper()
	status, got := post(t, newClient(t, s, false), s, tenant, "devicecode", url.Values{"client_id": {aksClient}, "scope": {aksScope + oidcScopes}})
	if status != 200 || got.Interval != 1 || !slices.Contains(s.PendingUserCodes(), got.UserCode) || !slices.Contains(s.SeenSecrets(), got.DeviceCode) {
		t.Fatalf("%d %+v", status, got)
	}
	return url.Values{
		"client_id": {aksClient}, "client_info": {"1"}, "device_code": {got.DeviceCode}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "scope": {aksScope + oidcScopes},
	}, got.UserCode
}

// A credential that has asked its person once renews by itself, until Entra wants to see him again.
func TestDeviceCodeRenews(t *testing.T) {
	s := newServerWithUsers(t)
	s.SetTokenLifetime(time.Minute) // MSAL renews what has less than five
	cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions: clientOptions(t, s), DisableInstanceDiscovery: true, TenantID: tenantID, ClientID: aksClient,
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			return s.ApproveDevice(m.UserCode, alice)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{
		{"devicecode " + tenantID + " client_id scope", "token " + tenantID + " client_id client_info device_code grant_type scope"},
		{"token " + tenantID + " client_id client_info grant_type refresh_token scope"},
		{"token " + tenantID + " client_id client_info grant_type refresh_token scope", "devicecode " + tenantID + " client_id scope", "token " + tenantID + " client_id client_info device_code grant_type scope"},
	} {
		token, err := cred.GetToken(testContext(t), aksTokenOptions)
		if err != nil {
			t.Fatal(err)
		}
		wantClaims(t, verifiedClaims(t, s, token.Token), map[string]any{"upn": alice})
		wantOAuthRequests(t, s, want...)
		s.ResetCounters()
		if len(want) == 1 {
			s.RevokeRefreshTokens(alice)
		}
	}
}

func TestDeviceCodeRefuses(t *testing.T) {
	s := newServerWithUsers(t)
	pending, _ := device(t, s, tenantID)
	declined, userCode := device(t, s, tenantID)
	if err := s.DeclineDevice(userCode); err != nil {
		t.Error(err)
	}
	redeemed, userCode := device(t, s, tenantID)
	for _, name := range []string{"nobody@contoso.onmicrosoft.com", "dora@contoso.onmicrosoft.com", "oscar@fabrikam.example"} {
		if s.ApproveDevice(userCode, name) == nil {
			t.Errorf("%s was let in", name)
		}
	}
	if err := s.ApproveDevice(userCode, alice); err != nil {
		t.Error(err)
	}
	if s.ApproveDevice(userCode, alice) == nil || s.DeclineDevice("NOT-THERE") == nil {
		t.Error("decided what does not wait")
	}
	if status, got := post(t, newClient(t, s, false), s, tenantID, "token", redeemed); status != 200 {
		t.Fatalf("%d %+v", status, got)
	}
	s.SetDeviceCodeLifetime(time.Nanosecond)
	status, got := post(t, newClient(t, s, false), s, tenantID, "devicecode", url.Values{"client_id": {aksClient}, "scope": {aksScope}})
	if status != 200 || got.ExpiresIn != 0 {
		t.Fatalf("%d %+v", status, got)
	}
	testRefusals(t, s, []refusalCase{
		{"pending", tenantID, pending, 70016, "authorization_pending", 400},
		{"declined", tenantID, declined, 65004, "authorization_declined", 400},
		{"redeemed", tenantID, redeemed, 54005, "invalid_grant", 400},
		{"expired", tenantID, withValues(pending, "device_code", got.DeviceCode), 70020, "expired_token", 400},
		{"unknown", tenantID, withValues(pending, "device_code", "guess"), 70018, "bad_verification_code", 400},
		{"another client's", tenantID, withValues(pending, "client_id", cliClient), 70018, "bad_verification_code", 400},
	})
	s.SlowDownPolls(1)
	testRefusals(t, s, []refusalCase{{"slow down", tenantID, pending, 70016, "slow_down", 400}, {"slowed down", tenantID, pending, 70016, "authorization_pending", 400}})
	if s.PendingPolls() != 3 {
		t.Errorf("%d pending", s.PendingPolls())
	}
	s.FailDeviceCode(1, entratest.Failure{AADSTS: 53003})
	if status, got := post(t, newClient(t, s, false), s, tenantID, "devicecode", url.Values{"client_id": {aksClient}, "scope": {aksScope}}); status != 400 || !slices.Equal(got.Codes, []int{53003}) {
		t.Errorf("%d %+v", status, got)
	}
	if _, ok := s.WaitUserCode(0); !ok {
		t.Error("the pending device does not wait")
	}
}
