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

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// newDeviceCodeCredential returns an azidentity credential that signs in at s. prompt gets the
// user code.
func newDeviceCodeCredential(
	t *testing.T, s *entratest.Server, tenant string,
	prompt func(context.Context, azidentity.DeviceCodeMessage) error,
) *azidentity.DeviceCodeCredential {
	t.Helper()
	cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions:            clientOptions(t, s),
		DisableInstanceDiscovery: true,
		TenantID:                 tenant,
		ClientID:                 aksClient,
		UserPrompt:               prompt,
	})
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

func TestDeviceCode(t *testing.T) {
	for _, tenant := range []string{tenantID, "organizations"} {
		t.Run(tenant, func(t *testing.T) { testDeviceCode(t, tenant) })
	}
}

func testDeviceCode(t *testing.T, tenant string) {
	s := newServerWithUsers(t)
	prompts := make(chan azidentity.DeviceCodeMessage, 1)
	cred := newDeviceCodeCredential(t, s, tenant,
		func(_ context.Context, m azidentity.DeviceCodeMessage) error { prompts <- m; return nil })
	go func() {
		code, ok := s.WaitUserCode(testTimeout)
		m := <-prompts
		if !ok || m.UserCode != code || !strings.Contains(m.Message, code) ||
			m.VerificationURL != "https://microsoft.com/devicelogin" {
			t.Errorf("code %q, %v, prompt %+v", code, ok, m)
		}
		s.WaitTokenRequests(1, testTimeout) // the response is authorization_pending
		if err := s.ApproveDevice(code, mfaUser); err != nil {
			t.Error(err)
		}
	}()
	token, err := cred.GetToken(testContext(t), aksTokenOptions)
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, verifiedClaims(t, s, token.Token), map[string]any{
		"upn": mfaUser, "tid": tenantID, "amr": []any{"pwd", "mfa"},
	})
	if s.DeviceCodeRequests() != 1 || s.Issued() != 1 || len(s.PendingUserCodes()) != 0 {
		t.Errorf("%d device codes, %d tokens, pending user codes %q",
			s.DeviceCodeRequests(), s.Issued(), s.PendingUserCodes())
	}
	if s.TokenRequests()-s.PendingPolls() != 1 {
		t.Errorf("%d of %d polls pending", s.PendingPolls(), s.TokenRequests())
	}
	want := []string{"devicecode " + tenant + " client_id scope"}
	for range s.TokenRequests() {
		want = append(want,
			"token "+tenant+" client_id client_info device_code grant_type scope")
	}
	wantOAuthRequests(t, s, want...)
}

func postDeviceCode(t *testing.T, s *entratest.Server, tenant string) response {
	t.Helper()
	return post(t, directClient(t, s), s, tenant, "devicecode",
		url.Values{"client_id": {aksClient}, "scope": {aksScope + oidcScopes}})
}

// startDeviceLogin requests a device code. It returns the token request that polls for its token,
// and the user code.
func startDeviceLogin(t *testing.T, s *entratest.Server) (poll url.Values, userCode string) {
	t.Helper()
	got := postDeviceCode(t, s, tenantID)
	if got.status != 200 || got.Interval != 1 ||
		!slices.Contains(s.PendingUserCodes(), got.UserCode) ||
		!slices.Contains(s.SeenSecrets(), got.DeviceCode) {
		t.Fatal(got)
	}
	return url.Values{
		"client_id":   {aksClient},
		"client_info": {"1"},
		"device_code": {got.DeviceCode},
		"grant_type":  {deviceGrant},
		"scope":       {aksScope + oidcScopes},
	}, got.UserCode
}

// After one sign-in the credential refreshes its token without a prompt until the refresh token is
// revoked.
func TestDeviceCodeRefreshes(t *testing.T) {
	s := newServerWithUsers(t)
	s.SetTokenLifetime(time.Minute) // MSAL refreshes tokens that expire within five minutes
	cred := newDeviceCodeCredential(t, s, tenantID,
		func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			return s.ApproveDevice(m.UserCode, alice)
		})
	const (
		deviceCode = "devicecode " + tenantID + " client_id scope"
		poll       = "token " + tenantID + " client_id client_info device_code grant_type scope"
		refresh    = "token " + tenantID + " client_id client_info grant_type refresh_token scope"
	)
	for _, want := range [][]string{
		{deviceCode, poll},
		{refresh},
		{refresh, deviceCode, poll},
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
	c := directClient(t, s)
	pending, _ := startDeviceLogin(t, s)
	declined, userCode := startDeviceLogin(t, s)
	if err := s.DeclineDevice(userCode); err != nil {
		t.Error(err)
	}
	redeemed, userCode := startDeviceLogin(t, s)
	for _, name := range []string{unknownUser, disabledUser, otherTenantUser} {
		if s.ApproveDevice(userCode, name) == nil {
			t.Errorf("%s approved the device", name)
		}
	}
	if err := s.ApproveDevice(userCode, alice); err != nil {
		t.Error(err)
	}
	if s.ApproveDevice(userCode, alice) == nil || s.DeclineDevice("NOT-THERE") == nil {
		t.Error("no error for a user code that is not pending")
	}
	if got := postToken(t, c, s, redeemed); got.status != 200 {
		t.Fatal(got)
	}
	s.SetDeviceCodeLifetime(time.Nanosecond)
	expired := postDeviceCode(t, s, tenantID)
	if expired.status != 200 || expired.ExpiresIn != 0 {
		t.Fatal(expired)
	}
	testRefusals(t, s, []refusalCase{
		{"pending", tenantID, pending, 70016, "authorization_pending", 400},
		{"declined", tenantID, declined, 65004, "authorization_declined", 400},
		{"redeemed", tenantID, redeemed, 54005, "invalid_grant", 400},
		{"expired", tenantID, withValues(pending, "device_code", expired.DeviceCode), 70020, "expired_token", 400},
		{"unknown", tenantID, withValues(pending, "device_code", "guess"), 70018, "bad_verification_code", 400},
		{"another client's", tenantID, withValues(pending, "client_id", cliClient), 70018, "bad_verification_code", 400},
	})
	s.SlowDownPolls(1)
	testRefusals(t, s, []refusalCase{
		{"slow down", tenantID, pending, 70016, "slow_down", 400},
		{"after slow down", tenantID, pending, 70016, "authorization_pending", 400},
	})
	if s.PendingPolls() != 3 {
		t.Errorf("%d pending polls", s.PendingPolls())
	}
	s.FailDeviceCode(1, entratest.Failure{AADSTS: 53003})
	if got := postDeviceCode(t, s, tenantID); got.status != 400 || !got.refusedWith(53003) {
		t.Error(got)
	}
	if _, ok := s.WaitUserCode(0); !ok {
		t.Error("the first device is not pending")
	}
}
