package entratest

import (
	"slices"
	"strings"
	"time"
)

// deviceCodeGrant is the grant of RFC 8628: the device asks again and again until the person has
// signed in elsewhere.
var deviceCodeGrant = grant{
	parameters:    []string{"client_id", "client_info", "device_code", "grant_type", "scope"},
	sharedTenants: true,
	check: func(s *Server, t *tokenRequest) int {
		for _, check := range (checks{checkPublicClient, checkDevice, checkDelegatedScope}) {
			if code := check(s, t); code != 0 {
				return code
			}
		}
		return 0
	},
}

// checkDevice says how far a device's person has come.
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
	d.redeemed = d.redeemed || code == 0
	s.mu.Unlock()
	if code != 0 {
		return code
	}
	return s.setUser(t, name)
}

// refusal is what a poll gets in place of a token. Called with mu held.
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
