package entratest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// PendingUserCodes lists the user codes that wait for somebody, in order.
func (s *Server) PendingUserCodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pendingUserCodesLocked()
}

// pendingUserCodesLocked is called with mu held.
func (s *Server) pendingUserCodesLocked() []string {
	var codes []string
	for _, d := range s.devices {
		if d.user == "" && !d.declined && time.Now().Before(d.expires) {
			codes = append(codes, d.userCode)
		}
	}
	return codes
}

// WaitUserCode blocks until a user code waits for somebody, and returns it; false when atMost was
// over first.
func (s *Server) WaitUserCode(atMost time.Duration) (userCode string, ok bool) {
	ok = s.waitUntil(atMost, func() bool {
		if codes := s.pendingUserCodesLocked(); len(codes) > 0 {
			userCode = codes[0]
		}
		return userCode != ""
	})
	return userCode, ok
}

// ApproveDevice is the person who opens the page, enters the code and signs in, with a second
// factor where one is needed. The error says why Entra would not let him.
func (s *Server) ApproveDevice(userCode, userName string) error {
	u, ok := s.findUser(userName)
	switch {
	case !ok:
		return fmt.Errorf("no user %s", userName)
	case u.AADSTS != 0:
		return fmt.Errorf("AADSTS%d: %s", u.AADSTS, refusals[u.AADSTS].text)
	}
	return s.decideDevice(userCode, func(d *device) error {
		if d.tenant != "" && d.tenant != u.Tenant {
			return fmt.Errorf("%s is not of tenant %s", userName, d.tenant)
		}
		d.user = u.Name
		return nil
	})
}

// DeclineDevice is the person who enters the code and then cancels.
func (s *Server) DeclineDevice(userCode string) error {
	return s.decideDevice(userCode, func(d *device) error { d.declined = true; return nil })
}

func (s *Server) decideDevice(userCode string, decision func(*device) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.pendingUserCodesLocked(), userCode) {
		return fmt.Errorf("no device waits with the code %s", userCode)
	}
	i := slices.IndexFunc(s.devices, func(d *device) bool { return d.userCode == userCode })
	return decision(s.devices[i])
}

// serveDeviceCode is the device authorization endpoint, RFC 8628 section 3.1.
func (s *Server) serveDeviceCode(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.deviceCodeRequests++
	failure := popFailure(&s.deviceSettings.failures)
	s.mu.Unlock()
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		s.unexpected("device code request: %v", err)
	}
	t := newTokenRequest(r, r.PostForm)
	s.logOAuthRequest(t, "devicecode")
	if !s.onlyParameters(w, r, r.URL.Query()) ||
		!s.onlyParameters(w, r, t.form, "client_id", "scope") {
		return
	}
	refuse := func(code, status int) { s.refuse(w, r, code, status, t.placeholders) }
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
	d := &device{
		code:     "EAQABIQEAAAA" + opaque("device code", n),
		userCode: userCode(n),
		client:   strings.ToLower(t.app.ClientID),
		tenant:   t.tenant,
	}
	s.recordSecrets(d.code)
	s.mu.Lock()
	defer s.mu.Unlock()
	interval, life := s.deviceSettings.interval, s.deviceSettings.lifetime
	if interval == 0 {
		interval = time.Second
	}
	if life == 0 {
		life = 15 * time.Minute
	}
	d.expires = time.Now().Add(life)
	s.devices = append(s.devices, d)
	s.wakeWaiters()
	const page = "https://microsoft.com/devicelogin"
	return map[string]any{
		"user_code":        d.userCode,
		"device_code":      d.code,
		"verification_uri": page,
		"expires_in":       int64(life / time.Second),
		"interval":         int64(interval / time.Second),
		"message":          "To sign in, use a web browser to open the page " + page + " and enter the code " + d.userCode + " to authenticate.",
	}
}
