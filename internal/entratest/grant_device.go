package entratest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// deviceCode is the grant of RFC 8628: the device asks again and again until the person has signed in elsewhere.
var deviceCode = grant{
	parameters: []string{"client_id", "client_info", "device_code", "grant_type", "scope"},
	shared:     true,
	check: func(s *Server, t *tokenRequest) int {
		for _, check := range (checks{checkPublicClient, checkDevice, checkDelegatedScope}) {
			if code := check(s, t); code != 0 {
				return code
			}
		}
		return 0
	},
}

// A device waits for a person. Guarded by Server.mu.
type device struct {
	code, userCode string
	client         string // in lower case
	tenant         string // "": any
	expires        time.Time
	user           string // who approved
	declined       bool
	redeemed       bool
}

type deviceKnobs struct {
	interval, life time.Duration
	slowDown       int
	failures       []Failure
}

// SetDeviceInterval sets how often clients are told to ask, in whole seconds; 0, as at first, means one second.
// It is not enforced, and MSAL for Go pays no attention to it: it asks after 50 ms, 150 ms and so on, up to every 5 s.
func (s *Server) SetDeviceInterval(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceKnobs.interval = d
}

// SetDeviceLife sets the life of the device codes given out from now on; 0, as at first, means 15 minutes.
func (s *Server) SetDeviceLife(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceKnobs.life = d
}

// SlowDown answers the next n polls of devices that wait with slow_down.
func (s *Server) SlowDown(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceKnobs.slowDown = n
}

// FailDevice makes the next n requests for device codes meet f.
func (s *Server) FailDevice(n int, f Failure) {
	s.mustKnow(f.AADSTS)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceKnobs.failures = append(s.deviceKnobs.failures, repeat(n, f)...)
}

// DeviceCodes lists the user codes that wait for somebody, in order.
func (s *Server) DeviceCodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting()
}

// waiting is called with mu held.
func (s *Server) waiting() []string {
	var codes []string
	for _, d := range s.devices {
		if d.user == "" && !d.declined && time.Now().Before(d.expires) {
			codes = append(codes, d.userCode)
		}
	}
	return codes
}

// WaitDeviceCode blocks until a user code waits for somebody, and returns it; false when atMost was over first.
func (s *Server) WaitDeviceCode(atMost time.Duration) (userCode string, ok bool) {
	ok = s.waitUntil(atMost, func() bool {
		if codes := s.waiting(); len(codes) > 0 {
			userCode = codes[0]
		}
		return userCode != ""
	})
	return userCode, ok
}

// ApproveDevice is the person who opens the page, enters the code and signs in, with a second factor where one is
// needed. The error says why Entra would not let him.
func (s *Server) ApproveDevice(userCode, userName string) error {
	u, ok := s.findUser(userName)
	switch {
	case !ok:
		return fmt.Errorf("no user %s", userName)
	case u.Refusal != 0:
		return fmt.Errorf("AADSTS%d: %s", u.Refusal, refusals[u.Refusal].text)
	}
	return s.decide(userCode, func(d *device) error {
		if d.tenant != "" && d.tenant != u.Tenant {
			return fmt.Errorf("%s is not of tenant %s", userName, d.tenant)
		}
		d.user = u.Name
		return nil
	})
}

// DeclineDevice is the person who enters the code and then cancels.
func (s *Server) DeclineDevice(userCode string) error {
	return s.decide(userCode, func(d *device) error { d.declined = true; return nil })
}

func (s *Server) decide(userCode string, decision func(*device) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.waiting(), userCode) {
		return fmt.Errorf("no device waits with the code %s", userCode)
	}
	i := slices.IndexFunc(s.devices, func(d *device) bool { return d.userCode == userCode })
	return decision(s.devices[i])
}

// serveDeviceCode is the device authorization endpoint, RFC 8628 section 3.1.
func (s *Server) serveDeviceCode(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.deviceRequests++
	failure := next(&s.deviceKnobs.failures)
	s.mu.Unlock()
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		s.unexpected("device code request: %v", err)
	}
	t := newTokenRequest(r, r.PostForm)
	s.record(t, "devicecode")
	if !s.onlyParameters(w, r, r.URL.Query()) || !s.onlyParameters(w, r, t.form, "client_id", "scope") {
		return
	}
	refuse := func(code, status int) { s.refuse(w, r, code, status, t.facts) }
	if failure != nil {
		failure.send(w, r, refuse)
		return
	}
	for _, check := range (checks{tenantCheck(true), checkPublicClient, checkDelegatedScope}) {
		if code := check(s, t); code != 0 {
			refuse(code, 0)
			return
		}
	}
	writeJSON(w, http.StatusOK, s.newDevice(t))
}

// newDevice makes a device wait, and the answer that it gets.
func (s *Server) newDevice(t *tokenRequest) map[string]any {
	n := s.nextSerial()
	d := &device{code: "EAQABIQEAAAA" + opaque("device code", n), userCode: userCode(n), client: strings.ToLower(t.app.ClientID), tenant: t.tenant}
	s.seeSecrets(d.code)
	s.mu.Lock()
	defer s.mu.Unlock()
	interval, life := s.deviceKnobs.interval, s.deviceKnobs.life
	if interval == 0 {
		interval = time.Second
	}
	if life == 0 {
		life = 15 * time.Minute
	}
	d.expires = time.Now().Add(life)
	s.devices = append(s.devices, d)
	s.wake()
	const page = "https://microsoft.com/devicelogin"
	return map[string]any{
		"user_code": d.userCode, "device_code": d.code, "verification_uri": page,
		"expires_in": int64(life / time.Second), "interval": int64(interval / time.Second),
		"message": "To sign in, use a web browser to open the page " + page + " and enter the code " + d.userCode + " to authenticate.",
	}
}

// userCode makes nine characters that people do not mix up.
func userCode(n int) string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	code := []byte(opaque("user code", n))[:9]
	for i, c := range code {
		code[i] = letters[int(c)%len(letters)]
	}
	return string(code)
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
		s.pending++
		if s.deviceKnobs.slowDown > 0 {
			s.deviceKnobs.slowDown--
			t.facts["error"] = "slow_down"
		}
	}
	if code == 65004 {
		t.facts["error"] = "authorization_declined"
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
