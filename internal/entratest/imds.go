package entratest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AssignIdentity registers a managed identity and assigns it to the machine, or replaces the one
// with the same client id.
func (s *Server) AssignIdentity(m ManagedIdentity) {
	s.Register(m.App)
	app, _ := s.findApp(m.Tenant, m.ClientID) // just registered
	m.App = app
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identities.assigned = slices.DeleteFunc(
		s.identities.assigned,
		func(old ManagedIdentity) bool { return strings.EqualFold(old.ClientID, m.ClientID) },
	)
	s.identities.assigned = append(s.identities.assigned, m)
}

// UnassignIdentity takes a managed identity from the machine. Its application stays in the tenant.
func (s *Server) UnassignIdentity(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identities.assigned = slices.DeleteFunc(
		s.identities.assigned,
		func(m ManagedIdentity) bool { return strings.EqualFold(m.ClientID, clientID) },
	)
}

// EnableAppService makes the machine one of App Service or Container Apps too. It returns what
// these put into IDENTITY_ENDPOINT and IDENTITY_HEADER.
func (s *Server) EnableAppService() (endpoint, header string) {
	header = strings.ToUpper(guid("identity header", s.nextSerial()))
	s.recordSecrets(header)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identities.appServiceHeader = header
	return s.IMDSURL + appServicePath, header
}

const (
	imdsHost       = "169.254.169.254"
	imdsPath       = "/metadata/identity/oauth2/token"
	appServicePath = "/msi/token"
)

// serveManagedIdentity is what a machine in Azure finds on plain HTTP: IMDS, and App Service's
// endpoint once [Server.EnableAppService] was called.
func (s *Server) serveManagedIdentity(w http.ResponseWriter, r *http.Request) {
	s.logRequest(r)
	serve := map[string]func(http.ResponseWriter, *http.Request){imdsPath: s.serveIMDS, appServicePath: s.serveAppService}[r.URL.Path]
	if serve == nil || r.Method != http.MethodGet {
		s.serveUnknown(w, r)
		return
	}
	held, delay, failure := s.admitIMDSRequest()
	if !s.waitDelay(r, held, delay) {
		panic(http.ErrAbortHandler)
	}
	if failure != nil {
		failure.send(w, r, nil)
		return
	}
	serve(w, r)
}

// admitIMDSRequest counts a request for a managed identity's token; else it is what [Server.arrive]
// is for Entra's.
func (s *Server) admitIMDSRequest() (held <-chan struct{}, delay time.Duration, f *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.imdsRequests++
	s.wakeWaiters()
	return s.release, s.delay, popFailure(&s.identities.failures)
}

// imdsSelectors are the parameters that name an identity, of which a request has one or none.
var imdsSelectors = map[string]func(m ManagedIdentity, value string) bool{
	"client_id":  func(m ManagedIdentity, v string) bool { return strings.EqualFold(m.ClientID, v) },
	"object_id":  func(m ManagedIdentity, v string) bool { return strings.EqualFold(m.ObjectID, v) },
	"msi_res_id": hasResourceID,
	"mi_res_id":  hasResourceID,
}

func hasResourceID(m ManagedIdentity, id string) bool {
	return !m.SystemAssigned && strings.EqualFold(m.ResourceID, id)
}

// serveIMDS is the endpoint of virtual machines, scale sets and AKS nodes.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
func (s *Server) serveIMDS(w http.ResponseWriter, r *http.Request) {
	refuse := func(name, text string) {
		writeJSON(
			w,
			http.StatusBadRequest,
			map[string]any{"error": name, "error_description": text},
		)
	}
	q := r.URL.Query()
	switch {
	case r.Header.Get("Metadata") != "true":
		s.unexpected("IMDS: %s: the header Metadata is %q", r.URL, r.Header.Get("Metadata"))
		refuse("bad_request_102", "Required metadata header not specified")
		return
	case len(r.Header.Values("X-Forwarded-For")) > 0:
		s.unexpected("IMDS: %s: it came through a proxy", r.URL)
		refuse("invalid_request", "Request with the X-Forwarded-For header is not allowed")
		return
	case q.Get("api-version") != "2018-02-01":
		s.unexpected("IMDS: api-version %q", q.Get("api-version"))
		refuse(
			"bad_request_101",
			"Required query variable 'api-version' is missing or not supported",
		)
		return
	case !s.onlyParameters(w, r, q, "api-version", "resource", "client_id", "object_id", "msi_res_id", "mi_res_id"):
		return
	}
	m, problem := s.chooseIdentity(q, "invalid_request", "Identity not found")
	if problem == nil {
		problem = s.grantIdentity(w, m, q.Get("resource"), imdsAnswer)
	}
	if problem != nil {
		refuse(problem[0], problem[1])
	}
}

// serveAppService is the endpoint of App Service, Functions and Container Apps.
// https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
func (s *Server) serveAppService(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, text string) {
		writeJSON(
			w,
			status,
			map[string]any{
				"statusCode":    status,
				"message":       text,
				"correlationId": guid("correlation", s.nextSerial()),
			},
		)
	}
	s.mu.Lock()
	header := s.identities.appServiceHeader
	s.mu.Unlock()
	q := r.URL.Query()
	switch {
	case header == "":
		s.serveUnknown(w, r)
		return
	case r.Header.Get("X-IDENTITY-HEADER") != header:
		refuse(http.StatusUnauthorized, "Unauthorized")
		return
	case q.Get("api-version") != "2019-08-01":
		s.unexpected("App Service: api-version %q", q.Get("api-version"))
		refuse(http.StatusBadRequest, "Unsupported api-version")
		return
	case !s.onlyParameters(w, r, q, "api-version", "resource", "client_id", "object_id", "principal_id", "mi_res_id"):
		return
	}
	m, problem := s.chooseIdentity(
		q,
		"",
		"No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
	)
	if problem == nil {
		problem = s.grantIdentity(w, m, q.Get("resource"), appServiceAnswer)
	}
	if problem != nil {
		refuse(http.StatusBadRequest, problem[1])
	}
}

// A identityError is the name and the text of a refusal.
type identityError [2]string

// chooseIdentity finds the identity that a request is for: the one it names, else the
// system-assigned, else the only one.
func (s *Server) chooseIdentity(q url.Values, name, text string) (ManagedIdentity, *identityError) {
	s.mu.Lock()
	fit := slices.Clone(s.identities.assigned)
	s.mu.Unlock()
	named := 0
	for parameter, is := range imdsSelectors {
		if q.Has(parameter) {
			named++
			fit = slices.DeleteFunc(
				fit,
				func(m ManagedIdentity) bool { return !is(m, q.Get(parameter)) },
			)
		}
	}
	if named > 1 {
		s.unexpected("IMDS: %d parameters name an identity in %s", named, q.Encode())
	}
	if named == 0 {
		if i := slices.IndexFunc(
			fit,
			func(m ManagedIdentity) bool { return m.SystemAssigned },
		); i >= 0 {
			fit = fit[i : i+1]
		}
	}
	switch len(fit) {
	case 0:
		return ManagedIdentity{}, &identityError{name, text}
	case 1:
		return fit[0], nil
	}
	return ManagedIdentity{}, &identityError{
		"invalid_request",
		"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
	}
}

// grantIdentity answers with a token of Entra's for an identity.
func (s *Server) grantIdentity(
	w http.ResponseWriter,
	m ManagedIdentity,
	resource string,
	answer func(identityToken) any,
) *identityError {
	t := &tokenRequest{tenant: m.Tenant, app: m.App, placeholders: map[string]string{}}
	id, name, _ := s.findTenant(m.Tenant) // registered with the identity
	t.tenant = id
	var ok bool
	if resource == "" {
		return &identityError{"invalid_request", "Required query variable 'resource' is missing"}
	}
	if t.resource, ok = s.findResource(id, strings.TrimSuffix(resource, "/")); !ok {
		if t.resource, ok = s.findResource(id, resource); !ok {
			text := fillPlaceholders(
				refusals[500011].text,
				map[string]string{"resource": resource, "tenant": name},
			)
			return &identityError{"invalid_resource", "AADSTS500011: " + text}
		}
	}
	s.mu.Lock()
	life, refreshIn := s.tokenLifetime, s.refreshIn
	s.mu.Unlock()
	token := s.accessToken(t, life)
	s.mu.Lock()
	s.issued++
	s.issuedTokens = append(s.issuedTokens, token)
	s.mu.Unlock()
	writeJSON(
		w,
		http.StatusOK,
		answer(identityToken{token, m.ClientID, resource, time.Now(), life, refreshIn}),
	)
	return nil
}

type identityToken struct {
	token, clientID, resource string
	now                       time.Time
	lifetime, refreshIn       time.Duration
}

func unixSeconds(t time.Time) string      { return strconv.FormatInt(t.Unix(), 10) }
func wholeSeconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// imdsAnswer has its numbers as strings, as the real one.
func imdsAnswer(t identityToken) any {
	body := map[string]any{
		"access_token":   t.token,
		"client_id":      t.clientID,
		"resource":       t.resource,
		"token_type":     "Bearer",
		"expires_in":     wholeSeconds(t.lifetime),
		"ext_expires_in": wholeSeconds(t.lifetime),
		"expires_on": unixSeconds(
			t.now.Add(t.lifetime),
		),
		"not_before": unixSeconds(t.now.Add(-5 * time.Minute)),
	}
	if t.refreshIn != 0 {
		body["refresh_in"] = wholeSeconds(t.refreshIn)
	}
	return body
}

func appServiceAnswer(t identityToken) any {
	return map[string]any{
		"access_token": t.token,
		"client_id":    strings.ToUpper(t.clientID),
		"resource":     t.resource,
		"token_type":   "Bearer",
		"expires_on":   unixSeconds(t.now.Add(t.lifetime)),
	}
}
