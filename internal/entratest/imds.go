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
// with the same client ID.
func (s *Server) AssignIdentity(m ManagedIdentity) {
	s.Register(m.App)
	m.App, _ = s.findApp(m.Tenant, m.ClientID) // found, since just registered
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unassignLocked(m.ClientID)
	s.identities.assigned = append(s.identities.assigned, m)
}

// UnassignIdentity removes a managed identity from the machine. Its application stays in the
// tenant.
func (s *Server) UnassignIdentity(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unassignLocked(clientID)
}

// unassignLocked is [Server.UnassignIdentity] for callers that hold mu.
func (s *Server) unassignLocked(clientID string) {
	s.identities.assigned = slices.DeleteFunc(s.identities.assigned, func(m ManagedIdentity) bool {
		return strings.EqualFold(m.ClientID, clientID)
	})
}

// EnableAppService adds the endpoint of App Service and Container Apps to the machine. It returns
// the values of the environment variables IDENTITY_ENDPOINT and IDENTITY_HEADER on these services.
// The second is a secret, which clients send in the header X-IDENTITY-HEADER.
func (s *Server) EnableAppService() (endpoint, secret string) {
	secret = strings.ToUpper(guid("identity header", s.nextSerial()))
	s.recordSecrets(secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identities.appServiceHeader = secret
	return s.IMDSURL + appServicePath, secret
}

const (
	imdsPath       = "/metadata/identity/oauth2/token"
	appServicePath = "/msi/token"
)

// serveManagedIdentity serves IMDS and, after [Server.EnableAppService], App Service's endpoint.
func (s *Server) serveManagedIdentity(w http.ResponseWriter, r *http.Request) {
	s.logRequest(r)
	serve := map[string]http.HandlerFunc{
		imdsPath: s.serveIMDS, appServicePath: s.serveAppService,
	}[r.URL.Path]
	if serve == nil || r.Method != http.MethodGet {
		s.serveUnknown(w, r)
		return
	}
	release, delay, failure := s.admitIMDSRequest()
	if !s.waitDelay(r, release, delay) {
		panic(http.ErrAbortHandler)
	}
	if failure != nil {
		failure.send(w, r, nil)
		return
	}
	serve(w, r)
}

// admitIMDSRequest counts a request for a managed identity's token. It returns what the request has
// to wait for and the failure that it meets, or nil.
func (s *Server) admitIMDSRequest() (
	release <-chan struct{}, delay time.Duration, failure *Failure,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.imdsRequests++
	s.wakeWaiters()
	return s.release, s.delay, popFailure(&s.identities.failures)
}

// The known parameters of the managed identity endpoints.
var (
	imdsParameters = []string{
		"api-version", "resource", "client_id", "object_id", "msi_res_id", "mi_res_id",
	}
	appServiceParameters = []string{
		"api-version", "resource", "client_id", "object_id", "principal_id", "mi_res_id",
	}
)

// imdsSelectors are the parameters that select an identity. A request has at most one.
var imdsSelectors = map[string]func(m ManagedIdentity, value string) bool{
	"client_id":  func(m ManagedIdentity, id string) bool { return strings.EqualFold(m.ClientID, id) },
	"object_id":  func(m ManagedIdentity, id string) bool { return strings.EqualFold(m.ObjectID, id) },
	"msi_res_id": hasResourceID,
	"mi_res_id":  hasResourceID,
}

func hasResourceID(m ManagedIdentity, id string) bool {
	return !m.SystemAssigned && strings.EqualFold(m.ResourceID, id)
}

// serveIMDS is the endpoint of virtual machines, scale sets and AKS nodes.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
func (s *Server) serveIMDS(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "IMDS/150.870.65.1497")
	refuse := func(code, message string) {
		body := map[string]any{"error": code, "error_description": message}
		writeJSON(w, http.StatusBadRequest, body)
	}
	q := r.URL.Query()
	metadata, version := r.Header.Get("Metadata"), q.Get("api-version")
	switch {
	case metadata != "true":
		s.unexpected("IMDS: %s: the header Metadata is %q", r.URL, metadata)
		refuse("bad_request_102", "Required metadata header not specified")
		return
	case len(r.Header.Values("X-Forwarded-For")) > 0:
		s.unexpected("IMDS: %s: it came through a proxy", r.URL)
		refuse("invalid_request", "Request with the X-Forwarded-For header is not allowed")
		return
	case version != "2018-02-01":
		s.unexpected("IMDS: api-version %q", version)
		const message = "Required query variable 'api-version' is missing or not supported"
		refuse("bad_request_101", message)
		return
	case !s.onlyParameters(w, r, q, imdsParameters...):
		return
	}
	notFound := identityError{"invalid_request", "Identity not found"}
	m, identityErr := s.chooseIdentity(q, notFound)
	if identityErr == nil {
		identityErr = s.grantIdentity(w, m, q.Get("resource"), imdsResponse)
	}
	if identityErr != nil {
		refuse(identityErr.code, identityErr.message)
	}
}

// serveAppService is the endpoint of App Service, Functions and Container Apps.
// https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
func (s *Server) serveAppService(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, message string) {
		writeJSON(w, status, map[string]any{
			"statusCode":    status,
			"message":       message,
			"correlationId": guid("correlation", s.nextSerial()),
		})
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
	case !s.onlyParameters(w, r, q, appServiceParameters...):
		return
	}
	notFound := identityError{message: "No User Assigned or Delegated Managed Identity found for " +
		"specified ClientId/ResourceId/PrincipalId."}
	m, identityErr := s.chooseIdentity(q, notFound)
	if identityErr == nil {
		identityErr = s.grantIdentity(w, m, q.Get("resource"), appServiceResponse)
	}
	if identityErr != nil {
		refuse(http.StatusBadRequest, identityErr.message)
	}
}

// An identityError is an error of a managed identity endpoint.
type identityError struct{ code, message string }

// chooseIdentity returns the identity for a request: the selected one, else the system-assigned
// one, else the only one. It returns notFound if there is none.
func (s *Server) chooseIdentity(
	q url.Values, notFound identityError,
) (ManagedIdentity, *identityError) {
	s.mu.Lock()
	candidates := slices.Clone(s.identities.assigned)
	s.mu.Unlock()
	selectors := 0
	for parameter, matches := range imdsSelectors {
		if q.Has(parameter) {
			selectors++
			candidates = slices.DeleteFunc(candidates, func(m ManagedIdentity) bool {
				return !matches(m, q.Get(parameter))
			})
		}
	}
	if selectors > 1 {
		s.unexpected("IMDS: %d parameters select an identity in %s", selectors, q.Encode())
	}
	systemAssigned := func(m ManagedIdentity) bool { return m.SystemAssigned }
	if i := slices.IndexFunc(candidates, systemAssigned); i >= 0 && selectors == 0 {
		candidates = candidates[i : i+1]
	}
	switch len(candidates) {
	case 0:
		return ManagedIdentity{}, &notFound
	case 1:
		return candidates[0], nil
	}
	return ManagedIdentity{}, &identityError{
		"invalid_request",
		"Multiple user assigned identities exist, please specify the clientId / resourceId of " +
			"the identity in the token request",
	}
}

// grantIdentity answers with one of Entra's access tokens for an identity. respond returns the body
// of the response.
func (s *Server) grantIdentity(
	w http.ResponseWriter, m ManagedIdentity, resource string, respond func(identityToken) any,
) *identityError {
	if resource == "" {
		return &identityError{"invalid_request", "Required query variable 'resource' is missing"}
	}
	id, name, _ := s.findTenant(m.Tenant) // found, since registered with the identity
	audience, ok := s.findResource(id, strings.TrimSuffix(resource, "/"))
	if !ok {
		audience, ok = s.findResource(id, resource)
	}
	if !ok {
		placeholders := map[string]string{"resource": resource, "tenant": name}
		text := fillPlaceholders(refusals[500011].text, placeholders)
		return &identityError{"invalid_resource", "AADSTS500011: " + text}
	}
	s.mu.Lock()
	lifetime, refreshIn := s.tokenLifetime, s.refreshIn
	s.mu.Unlock()
	token := s.accessToken(&tokenRequest{tenant: id, app: m.App, resource: audience}, lifetime)
	s.countIssued(token)
	body := respond(identityToken{token, m.ClientID, resource, time.Now(), lifetime, refreshIn})
	writeJSON(w, http.StatusOK, body)
	return nil
}

// An identityToken is an access token with what responses say about it.
type identityToken struct {
	token, clientID, resource string
	issuedAt                  time.Time
	lifetime, refreshIn       time.Duration
}

func unixSeconds(t time.Time) string      { return strconv.FormatInt(t.Unix(), 10) }
func wholeSeconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// imdsResponse has numbers as strings, like the real one.
func imdsResponse(t identityToken) any {
	body := map[string]any{
		"access_token":   t.token,
		"client_id":      t.clientID,
		"resource":       t.resource,
		"token_type":     "Bearer",
		"expires_in":     wholeSeconds(t.lifetime),
		"ext_expires_in": wholeSeconds(t.lifetime),
		"expires_on":     unixSeconds(t.issuedAt.Add(t.lifetime)),
		"not_before":     unixSeconds(t.issuedAt.Add(-5 * time.Minute)),
	}
	if t.refreshIn != 0 {
		body["refresh_in"] = wholeSeconds(t.refreshIn)
	}
	return body
}

func appServiceResponse(t identityToken) any {
	return map[string]any{
		"access_token": t.token,
		"client_id":    strings.ToUpper(t.clientID),
		"resource":     t.resource,
		"token_type":   "Bearer",
		"expires_on":   unixSeconds(t.issuedAt.Add(t.lifetime)),
	}
}
