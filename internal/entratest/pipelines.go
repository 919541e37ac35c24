package entratest

import (
	"net/http"
	"strings"
	"time"
)

const (
	pipelinesHost      = "dev.azure.com"
	pipelinesIssuerURL = "https://vstoken.dev.azure.com/"     // the organization's GUID comes after it
	entraIssuerURL     = "https://login.microsoftonline.com/" // the tenant's GUID and /v2.0 come after it
	pipelinesKid       = "D6A3F0E2B7C95418A1E09C4D7B2F6358E4D1C0A9"
)

// isPipelines knows the issuers of service connections' ID tokens, whose key [Server.pipelinesToken] uses.
func isPipelines(issuer string) bool {
	return strings.HasPrefix(issuer, pipelinesIssuerURL) || strings.HasPrefix(issuer, entraIssuerURL)
}

// A ServiceConnection is one of Azure DevOps that uses workload identity federation.
type ServiceConnection struct {
	ID           string // its GUID
	Organization string // its name
	Project      string
	Name         string

	// The claims of its ID tokens. Empty ones are the Azure DevOps issuer's, https://vstoken.dev.azure.com/ORGANIZATION-GUID and
	// sc://ORGANIZATION/PROJECT/NAME, which is retired on 1 July 2027; newer connections have the Entra issuer's,
	// https://login.microsoftonline.com/TENANT/v2.0 and an opaque subject that begins with /eid1/c/pub/t/.
	// https://learn.microsoft.com/azure/devops/pipelines/release/convert-service-connections
	Issuer, Subject string
}

func (c ServiceConnection) withDefaults() ServiceConnection {
	if c.Issuer == "" {
		c.Issuer = pipelinesIssuerURL + guid("organization "+c.Organization, 0)
	}
	if c.Subject == "" {
		c.Subject = "sc://" + c.Organization + "/" + c.Project + "/" + c.Name
	}
	return c
}

// Trust is the federated credential that an application needs for the connection.
func (c ServiceConnection) Trust() FederatedCredential {
	c = c.withDefaults()
	return FederatedCredential{Issuer: c.Issuer, Subject: c.Subject}
}

// pipelinesIssuer is the state of Azure Pipelines' ID-token endpoint. Guarded by Server.mu.
type pipelinesIssuer struct {
	path, systemToken string // empty: there is no running job
	connections       map[string]ServiceConnection
	failures          []Failure
}

// Pipeline starts a job that may use the service connections. It returns what Azure Pipelines puts into SYSTEM_OIDCREQUESTURI and
// SYSTEM_ACCESSTOKEN; the job before it has ended. The URI leads here through the CONNECT proxy; with the Server's URL in place of its
// scheme and host it does so directly.
func (s *Server) Pipeline(connections ...ServiceConnection) (uri, systemToken string) {
	n := s.nextSerial()
	// Azure DevOps' tokens for a job are JWTs of its own.
	token := s.sign(issuerKey().key, map[string]any{"typ": "JWT", "kid": pipelinesKid}, map[string]any{
		"iss": "app.vstoken.visualstudio.com", "aud": "app.vstoken.visualstudio.com|vso:" + guid("job token", n), "jti": guid("jti", n),
		"scp": "app_token", "exp": time.Now().Add(time.Hour).Unix(),
	})
	path := "/octo-org/" + guid("project", 0) + "/_apis/distributedtask/hubs/build/plans/" + guid("plan", n) + "/jobs/" + guid("job", n) + "/oidctoken"
	known := map[string]ServiceConnection{}
	for _, c := range connections {
		known[strings.ToLower(c.ID)] = c.withDefaults()
	}
	s.seeSecrets(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipelines.path, s.pipelines.systemToken, s.pipelines.connections = path, token, known
	return "https://" + pipelinesHost + path, token
}

// FailPipelines makes the next n requests for ID tokens of service connections meet f. Azure DevOps has no AADSTS codes: f must not have one.
func (s *Server) FailPipelines(n int, f Failure) {
	if f.AADSTS != 0 {
		s.tb.Fatalf("entratest: Azure Pipelines does not answer with AADSTS%d", f.AADSTS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipelines.failures = append(s.pipelines.failures, repeat(n, f)...)
}

func (s *Server) routePipelines(mux *http.ServeMux) {
	mux.HandleFunc("POST /{organization}/{project}/_apis/distributedtask/hubs/build/plans/{plan}/jobs/{job}/oidctoken", s.servePipelines)
}

// servePipelines answers as
// https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create describes it.
func (s *Server) servePipelines(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.pipelineRequests++
	path, want, failure := s.pipelines.path, s.pipelines.systemToken, next(&s.pipelines.failures)
	connection, known := s.pipelines.connections[strings.ToLower(r.URL.Query().Get("serviceConnectionId"))]
	s.mu.Unlock()

	q := r.URL.Query()
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	trace := guid("e2e", s.nextSerial())
	w.Header().Set("X-VSS-E2EID", trace)
	w.Header().Set("X-TFS-ProcessId", guid("process", 0))
	refuse := func(status int, kind, text string) {
		writeJSON(w, status, map[string]any{
			"$id": "1", "innerException": nil, "message": text, "typeName": "Microsoft.TeamFoundation.DistributedTask.WebApi." + kind + ", Microsoft.TeamFoundation.DistributedTask.WebApi",
			"typeKey": kind, "errorCode": 0, "eventId": 3000,
		})
	}
	switch {
	case path == "":
		s.serveUnknown(w, r)
	case !s.onlyParameters(w, r, q, "api-version", "serviceConnectionId"):
		// It has answered.
	case r.ContentLength != 0:
		s.unexpected("Azure Pipelines: %s: there is a body, or no length", r.URL)
		http.Error(w, "unexpected body", http.StatusBadRequest)
	case failure != nil:
		failure.send(w, r, nil)
	case q.Get("api-version") != "7.1" && q.Get("api-version") != "7.1-preview.1":
		s.unexpected("Azure Pipelines: api-version %q", q.Get("api-version"))
		refuse(http.StatusBadRequest, "VssVersionNotSpecifiedException", "No api-version was supplied for the \"POST\" request.")
	case !strings.EqualFold(scheme, "bearer") || got != want:
		s.askToSignIn(w, r)
	case r.URL.Path != path:
		refuse(http.StatusNotFound, "TaskOrchestrationPlanNotFoundException", "No plan found for identifier "+r.PathValue("plan")+".")
	case !known:
		refuse(http.StatusNotFound, "EndpointNotFoundException", "Service connection with id "+q.Get("serviceConnectionId")+" not found in project octo-org.")
	default:
		token := s.pipelinesToken(connection)
		s.seeSecrets(token)
		writeJSON(w, http.StatusOK, map[string]any{"oidcToken": token})
	}
}

// askToSignIn is what Azure DevOps does with a request that it does not know the sender of: a person is sent to the sign-in page, and only
// who says that he is no person is told 401.
func (s *Server) askToSignIn(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("X-TFS-FedAuthRedirect"), "Suppress") {
		w.Header().Set("Location", "https://spsprodweu3.vssps.visualstudio.com/_signin?realm=dev.azure.com&reply_to=https%3A%2F%2Fdev.azure.com%2F")
		w.WriteHeader(http.StatusFound)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer authorization_uri=https://login.windows.net/`+guid("devops tenant", 0))
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusUnauthorized)
}

// pipelinesToken signs an ID token of five minutes. The key is the cluster issuer's under another id, as GitHub's is.
func (s *Server) pipelinesToken(c ServiceConnection) string {
	now := time.Now()
	return s.sign(issuerKey().key, map[string]any{"typ": "JWT", "kid": pipelinesKid}, map[string]any{
		"iss": c.Issuer, "sub": c.Subject, "aud": defaultAudience,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"jti": guid("jti", s.nextSerial()),
	})
}
