package entratest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// PendingUserCodes returns the user codes of the devices that wait for a user's decision, oldest
// first.
func (s *Server) PendingUserCodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pendingUserCodesLocked()
}

// pendingUserCodesLocked is [Server.PendingUserCodes] for callers that hold mu.
func (s *Server) pendingUserCodesLocked() []string {
	var codes []string
	for _, d := range s.devices {
		if d.user == "" && !d.declined && time.Now().Before(d.expires) {
			codes = append(codes, d.userCode)
		}
	}
	return codes
}

// WaitUserCode blocks until a device waits for a user's decision, and returns the user code of the
// oldest one, which goes on waiting. ok is false if timeout passes first.
func (s *Server) WaitUserCode(timeout time.Duration) (userCode string, ok bool) {
	ok = s.waitUntil(timeout, func() bool {
		if codes := s.pendingUserCodesLocked(); len(codes) > 0 {
			userCode = codes[0]
		}
		return userCode != ""
	})
	return userCode, ok
}

// ApproveDevice enters a user code and signs in as a user, with the user's password and with a
// second factor if the user needs one. It returns an error if no device waits with that code or if
// Entra would refuse the user.
func (s *Server) ApproveDevice(userCode, userName string) error {
	u, ok := s.findUser(userName)
	switch {
	case !ok:
		return fmt.Errorf("user %s not found", userName)
	case u.AADSTS != 0:
		return fmt.Errorf("AADSTS%d: %s", u.AADSTS, refusals[u.AADSTS].text)
	}
	return s.decideDevice(userCode, func(d *device) error {
		if d.tenant != "" && d.tenant != u.Tenant {
			return fmt.Errorf("%s is not a user of tenant %s", userName, d.tenant)
		}
		d.user = u.Name
		return nil
	})
}

// DeclineDevice enters a user code and cancels the sign-in. It returns an error if no device waits
// with that code.
func (s *Server) DeclineDevice(userCode string) error {
	return s.decideDevice(userCode, func(d *device) error { d.declined = true; return nil })
}

// decideDevice calls decide with the waiting device that has the user code, with mu held.
func (s *Server) decideDevice(userCode string, decide func(*device) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.pendingUserCodesLocked(), userCode) {
		return fmt.Errorf("no device waits with the code %s", userCode)
	}
	i := slices.IndexFunc(s.devices, func(d *device) bool { return d.userCode == userCode })
	return decide(s.devices[i])
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
	checks := checks{tenantCheck(true), checkPublicClient, checkDelegatedScope}
	if code := checks.run(s, t); code != 0 {
		refuse(code, 0)
		return
	}
	body := s.newDevice(t)
	setClientTelemetry(w, 0)
	traceID := guid("trace", s.nextSerial())
	writeEntra(w, http.StatusOK, traceID, t.placeholders["correlation"], body)
}

// newDevice adds a device that waits for a user, and returns the body of its response.
func (s *Server) newDevice(t *tokenRequest) map[string]any {
	n := s.nextSerial()
	d := &device{
		code:     "EAQABIQEAAAA" + opaque("device code", n),
		userCode: userCode(n),
		client:   strings.ToLower(t.app.ClientID),
		tenant:   t.tenant,

		correlationID: t.placeholders["correlation"],
	}
	s.recordSecrets(d.code)
	s.mu.Lock()
	defer s.mu.Unlock()
	interval, lifetime := s.deviceSettings.interval, s.deviceSettings.lifetime
	if interval == 0 {
		interval = time.Second
	}
	if lifetime == 0 {
		lifetime = 15 * time.Minute
	}
	d.expires = time.Now().Add(lifetime)
	s.devices = append(s.devices, d)
	s.wakeWaiters()
	const page = "https://microsoft.com/devicelogin"
	return map[string]any{
		"user_code":        d.userCode,
		"device_code":      d.code,
		"verification_uri": page,
		"expires_in":       int64(lifetime / time.Second),
		"interval":         int64(interval / time.Second),
		"message": "To sign in, use a web browser to open the page " + page +
			" and enter the code " + d.userCode + " to authenticate.",
	}
}
