package entratest

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// deviceCodeGrant is the grant of RFC 8628: the device polls until the user has signed in
// elsewhere.
var deviceCodeGrant = grant{
	parameters:    []string{"client_id", "client_info", "device_code", "grant_type", "scope"},
	sharedTenants: true,
	check:         checks{checkPublicClient, checkDevice, checkDelegatedScope}.run,
}

// checkDevice redeems a device code, which is valid once, and fills in the user. As at Entra, the
// responses to polls have the correlation ID of the request for the device code.
func checkDevice(s *Server, t *tokenRequest) int {
	s.mu.Lock()
	i := slices.IndexFunc(s.devices, func(d *device) bool {
		return d.code == t.form.Get("device_code") && d.client == strings.ToLower(t.app.ClientID)
	})
	if i < 0 {
		s.mu.Unlock()
		return 70018
	}
	d := s.devices[i]
	code, name := d.refusal(), d.user
	if code == 70016 {
		s.pendingPolls++
		if s.deviceSettings.slowDowns > 0 {
			s.deviceSettings.slowDowns--
			t.placeholders["error"] = "slow_down"
		}
	}
	if code == 65004 {
		t.placeholders["error"] = "authorization_declined"
	}
	t.placeholders["correlation"] = cmp.Or(d.correlationID, t.placeholders["correlation"])
	d.redeemed = d.redeemed || code == 0
	s.mu.Unlock()
	if code != 0 {
		return code
	}
	return s.setUser(t, name)
}

// refusal returns the AADSTS code that a poll of the device gets instead of a token, or 0. Called
// with Server.mu held.
func (d *device) refusal() int {
	switch {
	case d.redeemed:
		return 54005
	case d.declined:
		return 65004
	case !time.Now().Before(d.expires):
		return 70020
	case d.user == "":
		return 70016
	}
	return 0
}
