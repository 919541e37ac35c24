package entratest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// clusterPath is the ID of a cluster as a route pattern.
const clusterPath = "/subscriptions/{subscription}/resourceGroups/{group}" +
	"/providers/Microsoft.ContainerService/managedClusters/{name}"

// RegisterCluster makes a cluster known in every cloud, or replaces the one with the same ID. It
// keeps a copy. A malformed ID is fatal.
//
// A client that may read a cluster of a subscription learns which other clusters do not exist. For
// any other client Azure Resource Manager refuses those as it refuses existing ones.
func (s *Server) RegisterCluster(c Cluster) {
	if !strings.HasPrefix(c.ID, "/subscriptions/") ||
		strings.Count(c.ID, "/") != strings.Count(clusterPath, "/") {
		s.tb.Fatalf("entratest: %q is not the ID of a cluster", c.ID)
	}
	c.Users = slices.Clone(c.Users)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arm.clusters == nil {
		s.arm.clusters = map[string]Cluster{}
	}
	s.arm.clusters[strings.ToLower(c.ID)] = c
}

// routeResourceManager adds Azure Resource Manager, which accepts tokens for the given audiences.
func (s *Server) routeResourceManager(mux *http.ServeMux, audiences []string) {
	mux.HandleFunc("POST "+clusterPath+"/listClusterUserCredential",
		func(w http.ResponseWriter, r *http.Request) { s.serveUserCredential(w, r, audiences) })
}

// serveUserCredential answers with a cluster's kubeconfig:
// https://learn.microsoft.com/rest/api/aks/managed-clusters/list-cluster-user-credentials
func (s *Server) serveUserCredential(w http.ResponseWriter, r *http.Request, audiences []string) {
	s.mu.Lock()
	s.resourceManagerRequests++
	failure := popFailure(&s.arm.failures)
	s.mu.Unlock()
	if !s.checkARMRequest(w, r) {
		return
	}
	if failure != nil {
		failure.send(w, r, nil)
		return
	}
	kubeconfig, refusal := s.userKubeconfig(r, audiences)
	if refusal != nil {
		s.refuseARM(w, *refusal)
		return
	}
	w.Header().Set("x-ms-correlation-request-id", guid("correlation", s.nextSerial()))
	user := map[string]any{"name": "clusterUser", "value": []byte(kubeconfig)} // in base64
	writeUncachedJSON(w, http.StatusOK, map[string]any{"kubeconfigs": []any{user}})
}

// checkARMRequest reports and refuses requests that a well-behaved client does not send. It returns
// false if it has answered.
func (s *Server) checkARMRequest(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	if !s.onlyParameters(w, r, q, "api-version", "format", "server-fqdn") {
		return false
	}
	_, versionErr := time.Parse(time.DateOnly, q.Get("api-version"))
	for _, check := range []struct {
		failed  bool
		refusal armRefusal
	}{
		{versionErr != nil, armRefusal{400, "InvalidApiVersionParameter", "The api-version '" + q.Get("api-version") + "' is invalid."}},
		{q.Get("format") != "exec", armRefusal{400, "BadRequest", "The format '" + q.Get("format") + "' is not exec."}},
		{q.Has("server-fqdn") && q.Get("server-fqdn") != "public", armRefusal{400, "BadRequest", "The server-fqdn is not public."}},
		{r.ContentLength != 0, armRefusal{400, "BadRequest", "There is a body, or no length."}},
		{r.Header.Get("Authorization") == "", armRefusal{401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."}},
	} {
		if check.failed {
			message := check.refusal.message
			s.unexpected("Azure Resource Manager: %s %s: %s", r.Method, r.URL, message)
			s.refuseARM(w, check.refusal)
			return false
		}
	}
	return true
}

// userKubeconfig returns the kubeconfig for a request, or why the request is refused.
func (s *Server) userKubeconfig(r *http.Request, audiences []string) (string, *armRefusal) {
	caller, refusal := s.verifyARMToken(r, audiences)
	if refusal != nil {
		return "", refusal
	}
	c, refusal := s.findCluster(r, caller)
	if refusal != nil {
		return "", refusal
	}
	if r.URL.Query().Get("server-fqdn") == "public" && c.PublicKubeconfig != "" {
		return c.PublicKubeconfig, nil
	}
	return c.Kubeconfig, nil
}

// An armCaller is the client that a request's token was issued to.
type armCaller struct {
	client string // a client ID, or a user principal name
	tenant string
}

// verifyARMToken verifies a request's token, which must have one of the audiences.
func (s *Server) verifyARMToken(r *http.Request, audiences []string) (armCaller, *armRefusal) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	err := errors.New("no bearer token")
	var claims map[string]any
	for _, audience := range audiences {
		if claims == nil && strings.EqualFold(scheme, "bearer") {
			claims, err = s.Verify(token, audience)
		}
	}
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		now := time.Now().UTC().Format("1/2/2006 3:04:05 PM")
		return armCaller{}, &armRefusal{401, "ExpiredAuthenticationToken",
			"The access token expiry UTC time is earlier than current UTC time '" + now + "'."}
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return armCaller{}, &armRefusal{401, "InvalidAuthenticationTokenAudience",
			"The access token has been obtained for wrong audience or resource. It should " +
				"exactly match with one of the allowed audiences '" +
				strings.Join(audiences, "','") + "'."}
	case err != nil:
		return armCaller{}, &armRefusal{401, "InvalidAuthenticationToken",
			"The access token is invalid."}
	}
	caller := armCaller{tenant: fmt.Sprint(claims["tid"])}
	caller.client, _ = claims["upn"].(string)
	if caller.client == "" {
		caller.client, _ = claims["appid"].(string)
	}
	return caller, nil
}

// mayRead reports whether the caller has the role that the request needs.
func (caller armCaller) mayRead(c Cluster) bool {
	return slices.ContainsFunc(c.Users, func(user string) bool {
		return strings.EqualFold(user, caller.client)
	})
}

// findCluster finds the cluster of a request. It looks for the subscription first, then for the
// resource group, then for the cluster, since the errors name the first of these that is missing.
func (s *Server) findCluster(r *http.Request, caller armCaller) (Cluster, *armRefusal) {
	id, _, _ := cutLast(r.URL.Path, "/")
	subscription, group := r.PathValue("subscription"), r.PathValue("group")
	inSubscription := s.clustersUnder("/subscriptions/" + subscription + "/")
	inGroup := s.clustersUnder("/subscriptions/" + subscription + "/resourceGroups/" + group + "/")
	i := slices.IndexFunc(inGroup, func(c Cluster) bool { return strings.EqualFold(c.ID, id) })
	switch {
	case len(inSubscription) == 0:
		return Cluster{}, &armRefusal{404, "SubscriptionNotFound",
			"The subscription '" + subscription + "' could not be found."}
	case !strings.EqualFold(inSubscription[0].Tenant, caller.tenant):
		return Cluster{}, wrongTenantRefusal(caller.tenant, inSubscription[0].Tenant)
	case i >= 0 && !caller.mayRead(inGroup[i]),
		!slices.ContainsFunc(inSubscription, caller.mayRead):
		return Cluster{}, forbiddenRefusal(caller.client, id)
	case len(inGroup) == 0:
		return Cluster{}, &armRefusal{404, "ResourceGroupNotFound",
			"Resource group '" + group + "' could not be found."}
	case i < 0:
		return Cluster{}, &armRefusal{404, "ResourceNotFound",
			"The Resource 'Microsoft.ContainerService/managedClusters/" + r.PathValue("name") +
				"' under resource group '" + group + "' was not found. " +
				"For more details please go to https://aka.ms/ARMResourceNotFoundFix"}
	}
	return inGroup[i], nil
}

// clustersUnder returns the clusters whose IDs begin with prefix, ignoring case.
func (s *Server) clustersUnder(prefix string) []Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	var under []Cluster
	for id, c := range s.arm.clusters {
		if strings.HasPrefix(id, strings.ToLower(prefix)) {
			under = append(under, c)
		}
	}
	return under
}

// An armRefusal is an error of Azure Resource Manager.
type armRefusal struct {
	status        int
	code, message string
}

func wrongTenantRefusal(tenant, want string) *armRefusal {
	return &armRefusal{401, "InvalidAuthenticationTokenTenant",
		"The access token is from the wrong issuer '" + tokenIssuer(tenant) +
			"'. It must match the tenant '" + tokenIssuer(want) +
			"' associated with this subscription. Please use the authority (URL) " +
			"'https://login.windows.net/" + want + "' to get the token. Note, if the " +
			"subscription is transferred to another tenant there is no impact to the services, " +
			"but information about new tenant could take time to propagate (up to an hour). If " +
			"you just transferred your subscription and see this error message, please try back later."}
}

func forbiddenRefusal(client, id string) *armRefusal {
	const action = "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"
	return &armRefusal{403, "AuthorizationFailed",
		"The client '" + client + "' with object id '" + objectID(client) +
			"' does not have authorization to perform action '" + action + "' over scope '" + id +
			"' or the scope is invalid. If access was recently granted, please refresh your " +
			"credentials."}
}

func (s *Server) refuseARM(w http.ResponseWriter, e armRefusal) {
	w.Header().Set("x-ms-correlation-request-id", guid("correlation", s.nextSerial()))
	details := map[string]any{"code": e.code, "message": e.message}
	writeUncachedJSON(w, e.status, map[string]any{"error": details})
}
