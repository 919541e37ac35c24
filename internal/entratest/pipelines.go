package entratest

import (
	"net/http"
	"strings"
	"time"
)

// StartPipeline starts a job that may use the service connections. It returns what Azure Pipelines
// puts into SYSTEM_OIDCREQUESTURI and SYSTEM_ACCESSTOKEN; the job before it has ended. The URI
// leads here through the CONNECT proxy; with the Server's URL in place of its scheme and host it
// does so directly.
func (s *Server) StartPipeline(connections ...ServiceConnection) (uri, systemToken string) {
	n := s.nextSerial()
	// Azure DevOps' tokens for a job are JWTs of its own.
	token := s.sign(
		issuerKey().key,
		map[string]any{"typ": "JWT", "kid": pipelinesKid},
		map[string]any{
			"iss": "app.vstoken.visualstudio.com",
			"aud": "app.vstoken.visualstudio.com|vso:" + guid("job token", n),
			"jti": guid("jti", n),
			"scp": "app_token",
			"exp": time.Now().Add(time.Hour).Unix(),
		},
	)
	path := "/octo-org/" + guid(
		"project",
		0,
	) + "/_apis/distributedtask/hubs/build/plans/" + guid(
		"plan",
		n,
	) + "/jobs/" + guid(
		"job",
		n,
	) + "/oidctoken"
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
	mux.HandleFunc(
		"POST /{organization}/{project}/_apis/distributedtask/hubs/build/plans/{plan}/jobs/{job}/oidctoken",
		s.servePipelines,
	)
}

// servePipelines answers as
// https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create describes it.
func (s *Server) servePipelines(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.pipelineRequests++
	path, want, failure := s.pipelines.path, s.pipelines.systemToken, popFailure(
		&s.pipelines.failures,
	)
	connection, known := s.pipelines.connections[strings.ToLower(r.URL.Query().Get("serviceConnectionId"))]
	s.mu.Unlock()

	q := r.URL.Query()
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	trace := guid("e2e", s.nextSerial())
	w.Header().Set("X-VSS-E2EID", trace)
	w.Header().Set("X-TFS-ProcessId", guid("process", 0))
	refuse := func(status int, kind, text string) {
		writeJSON(w, status, map[string]any{
			"$id":            "1",
			"innerException": nil,
			"message":        text,
			"typeName":       "Microsoft.TeamFoundation.DistributedTask.WebApi." + kind + ", Microsoft.TeamFoundation.DistributedTask.WebApi",
			"typeKey":        kind,
			"errorCode":      0,
			"eventId":        3000,
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
		refuse(
			http.StatusBadRequest,
			"VssVersionNotSpecifiedException",
			"No api-version was supplied for the \"POST\" request.",
		)
	case !strings.EqualFold(scheme, "bearer") || got != want:
		s.refuseUnauthenticated(w, r)
	case r.URL.Path != path:
		refuse(
			http.StatusNotFound,
			"TaskOrchestrationPlanNotFoundException",
			"No plan found for identifier "+r.PathValue("plan")+".",
		)
	case !known:
		refuse(
			http.StatusNotFound,
			"EndpointNotFoundException",
			"Service connection with id "+q.Get(
				"serviceConnectionId",
			)+" not found in project octo-org.",
		)
	default:
		token := s.pipelinesToken(connection)
		s.recordSecrets(token)
		writeJSON(w, http.StatusOK, map[string]any{"oidcToken": token})
	}
}

// refuseUnauthenticated is what Azure DevOps does with a request that it does not know the sender
// of: a person is sent to the sign-in page, and only who says that he is no person is told 401.
func (s *Server) refuseUnauthenticated(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("X-TFS-FedAuthRedirect"), "Suppress") {
		w.Header().
			Set("Location", "https://spsprodweu3.vssps.visualstudio.com/_signin?realm=dev.azure.com&reply_to=https%3A%2F%2Fdev.azure.com%2F")
		w.WriteHeader(http.StatusFound)
		return
	}
	w.Header().
		Set("WWW-Authenticate", `Bearer authorization_uri=https://login.windows.net/`+guid("devops tenant", 0))
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusUnauthorized)
}

// pipelinesToken signs an ID token of five minutes. The key is the cluster issuer's under another
// id, as StartWorkflow's is.
func (s *Server) pipelinesToken(c ServiceConnection) string {
	now := time.Now()
	return s.sign(
		issuerKey().key,
		map[string]any{"typ": "JWT", "kid": pipelinesKid},
		map[string]any{
			"iss": c.Issuer, "sub": c.Subject, "aud": defaultFederatedAudience,
			"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
			"jti": guid("jti", s.nextSerial()),
		},
	)
}
