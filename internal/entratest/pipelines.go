package entratest

import (
	"net/http"
	"strings"
	"time"
)

// StartPipeline starts an Azure Pipelines job that may use the service connections. The job of an
// earlier call ends. It returns the values that Azure Pipelines sets as SYSTEM_OIDCREQUESTURI and
// SYSTEM_ACCESSTOKEN. The URI leads to the Server through the CONNECT proxy. A client without a
// proxy uses [Server.URL] followed by the URI's path.
func (s *Server) StartPipeline(connections ...ServiceConnection) (uri, systemToken string) {
	n := s.nextSerial()
	token := s.signForPipelines(map[string]any{ // Azure DevOps' tokens for jobs are JWTs of its own
		"iss": "app.vstoken.visualstudio.com",
		"aud": "app.vstoken.visualstudio.com|vso:" + guid("job token", n),
		"jti": guid("jti", n),
		"scp": "app_token",
		"exp": time.Now().Add(time.Hour).Unix(),
	})
	path := "/octo-org/" + guid("project", 0) + "/_apis/distributedtask/hubs/build/plans/" +
		guid("plan", n) + "/jobs/" + guid("job", n) + "/oidctoken"
	known := map[string]ServiceConnection{}
	for _, c := range connections {
		known[strings.ToLower(c.ID)] = c.withDefaults()
	}
	s.recordSecrets(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipelines.path, s.pipelines.systemToken, s.pipelines.connections = path, token, known
	return "https://" + pipelinesHost + path, token
}

func (s *Server) routePipelines(mux *http.ServeMux) {
	const plans = "/{organization}/{project}/_apis/distributedtask/hubs/build/plans"
	mux.HandleFunc("POST "+plans+"/{plan}/jobs/{job}/oidctoken", s.servePipelines)
}

// servePipelines is Azure Pipelines' ID token endpoint:
// https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create
func (s *Server) servePipelines(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("serviceConnectionId")
	s.mu.Lock()
	s.pipelineRequests++
	path, want := s.pipelines.path, s.pipelines.systemToken
	failure := popFailure(&s.pipelines.failures)
	connection, known := s.pipelines.connections[strings.ToLower(id)]
	s.mu.Unlock()

	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	w.Header().Set("X-VSS-E2EID", guid("e2e", s.nextSerial()))
	w.Header().Set("X-TFS-ProcessId", guid("process", 0))
	switch {
	case path == "":
		s.serveUnknown(w, r)
	case !s.onlyParameters(w, r, q, "api-version", "serviceConnectionId"):
		// onlyParameters has answered.
	case r.ContentLength != 0:
		s.unexpected("Azure Pipelines: %s: there is a body, or no length", r.URL)
		http.Error(w, "unexpected body", http.StatusBadRequest)
	case failure != nil:
		failure.send(w, r, nil)
	case q.Get("api-version") != "7.1" && q.Get("api-version") != "7.1-preview.1":
		s.unexpected("Azure Pipelines: api-version %q", q.Get("api-version"))
		refusePipelines(w, http.StatusBadRequest, "VssVersionNotSpecifiedException",
			`No api-version was supplied for the "POST" request.`)
	case !strings.EqualFold(scheme, "bearer") || got != want:
		s.refuseUnauthenticated(w, r)
	case r.URL.Path != path:
		refusePipelines(w, http.StatusNotFound, "TaskOrchestrationPlanNotFoundException",
			"No plan found for identifier "+r.PathValue("plan")+".")
	case !known:
		refusePipelines(w, http.StatusNotFound, "EndpointNotFoundException",
			"Service connection with id "+id+" not found in project octo-org.")
	default:
		token := s.pipelinesToken(connection)
		s.recordSecrets(token)
		writeUncachedJSON(w, http.StatusOK, map[string]any{"oidcToken": token})
	}
}

// refusePipelines answers with an error of Azure DevOps.
func refusePipelines(w http.ResponseWriter, status int, exception, message string) {
	const namespace = "Microsoft.TeamFoundation.DistributedTask.WebApi"
	writeUncachedJSON(w, status, map[string]any{
		"$id":            "1",
		"innerException": nil,
		"message":        message,
		"typeName":       namespace + "." + exception + ", " + namespace,
		"typeKey":        exception,
		"errorCode":      0,
		"eventId":        3000,
	})
}

const devOpsSignInURL = "https://spsprodweu3.vssps.visualstudio.com/_signin" +
	"?realm=dev.azure.com&reply_to=https%3A%2F%2Fdev.azure.com%2F"

// refuseUnauthenticated answers as Azure DevOps answers requests without valid credentials: with a
// redirect to the sign-in page, or with 401 if the client asks for no redirects.
func (s *Server) refuseUnauthenticated(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("X-TFS-FedAuthRedirect"), "Suppress") {
		w.Header().Set("Location", devOpsSignInURL)
		w.WriteHeader(http.StatusFound)
		return
	}
	authority := "https://login.windows.net/" + guid("devops tenant", 0)
	w.Header().Set("WWW-Authenticate", "Bearer authorization_uri="+authority)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusUnauthorized)
}

// pipelinesToken returns an ID token of a service connection, with a lifetime of five minutes.
func (s *Server) pipelinesToken(c ServiceConnection) string {
	now := time.Now()
	return s.signForPipelines(map[string]any{
		"iss": c.Issuer,
		"sub": c.Subject,
		"aud": defaultFederatedAudience,
		"iat": now.Unix(),
		"nbf": now.Unix(),
		"exp": now.Add(5 * time.Minute).Unix(),
		"jti": guid("jti", s.nextSerial()),
	})
}

// signForPipelines returns a JWT of Azure DevOps. Its key is the cluster issuer's with another key
// ID, as for [Server.gitHubToken].
func (s *Server) signForPipelines(claims map[string]any) string {
	return s.sign(issuerKey().key, map[string]any{"typ": "JWT", "kid": pipelinesKid}, claims)
}
