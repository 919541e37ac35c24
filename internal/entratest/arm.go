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

// clusterPath is a cluster's ID as the pattern of a route.
const clusterPath = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}"

// RegisterCluster makes a cluster known in every cloud, or replaces the one with the same ID. It
// keeps a copy.
//
// A client that may read some cluster of a subscription is told which others are not there. To any
// other client Azure Resource Manager refuses them as it does those that are.
func (s *Server) RegisterCluster(c Cluster) {
	if !strings.HasPrefix(c.ID, "/subscriptions/") ||
		strings.Count(c.ID, "/") != strings.Count(clusterPath, "/") {
		s.tb.Fatalf("entratest: %q is no cluster's ID", c.ID)
	}
	c.Users = slices.Clone(c.Users)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arm.clusters == nil {
		s.arm.clusters = map[string]Cluster{}
	}
	s.arm.clusters[strings.ToLower(c.ID)] = c
}

// routeResourceManager serves Azure Resource Manager to tokens for the audiences that are allowed.
func (s *Server) routeResourceManager(mux *http.ServeMux, allowed []string) {
	mux.HandleFunc(
		"POST "+clusterPath+"/listClusterUserCredential",
		func(w http.ResponseWriter, r *http.Request) {
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
			kubeconfig, refusal := s.userKubeconfig(r, allowed)
			if refusal != nil {
				s.refuseARM(w, *refusal)
				return
			}
			w.Header().Set("x-ms-correlation-request-id", guid("correlation", s.nextSerial()))
			writeJSON(w, http.StatusOK, map[string]any{
				"kubeconfigs": []any{
					map[string]any{"name": "clusterUser", "value": []byte(kubeconfig)},
				}, // encoding/json makes it base64
			})
		},
	)
}

// checkARMRequest reports and refuses what a well-behaved client does not send. It is false when
// the request has been answered.
func (s *Server) checkARMRequest(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	if !s.onlyParameters(w, r, q, "api-version", "format", "server-fqdn") {
		return false
	}
	_, versionErr := time.Parse(time.DateOnly, q.Get("api-version"))
	for _, check := range []struct {
		bad  bool
		what armRefusal
	}{
		{versionErr != nil, armRefusal{400, "InvalidApiVersionParameter", "The api-version '" + q.Get("api-version") + "' is invalid."}},
		{q.Get("format") != "exec", armRefusal{400, "BadRequest", "The format '" + q.Get("format") + "' is not exec."}},
		{q.Has("server-fqdn") && q.Get("server-fqdn") != "public", armRefusal{400, "BadRequest", "The server-fqdn is not public."}},
		{r.ContentLength != 0, armRefusal{400, "BadRequest", "There is a body, or no length."}},
		{r.Header.Get("Authorization") == "", armRefusal{401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."}},
	} {
		if check.bad {
			s.unexpected("Azure Resource Manager: %s %s: %s", r.Method, r.URL, check.what.message)
			s.refuseARM(w, check.what)
			return false
		}
	}
	return true
}

// userKubeconfig is the kubeconfig that a request is granted, or why it is not.
func (s *Server) userKubeconfig(r *http.Request, allowed []string) (string, *armRefusal) {
	client, tenant, refusal := s.armCaller(r, allowed)
	if refusal != nil {
		return "", refusal
	}
	id, _, _ := cutLast(r.URL.Path, "/")
	c, refusal := s.findCluster(r, id, client, tenant)
	if refusal != nil {
		return "", refusal
	}
	if r.URL.Query().Get("server-fqdn") == "public" && c.PublicKubeconfig != "" {
		return c.PublicKubeconfig, nil
	}
	return c.Kubeconfig, nil
}

// armCaller is whom a request's token was issued for, a client's ID or a person's name, and where.
func (s *Server) armCaller(
	r *http.Request,
	allowed []string,
) (client, tenant string, refusal *armRefusal) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	err := errors.New("no bearer token")
	var claims map[string]any
	for _, audience := range allowed {
		if claims == nil && strings.EqualFold(scheme, "bearer") {
			claims, err = s.Verify(token, audience)
		}
	}
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", "", &armRefusal{
			401,
			"ExpiredAuthenticationToken",
			"The access token expiry UTC time is earlier than current UTC time '" + time.Now().
				UTC().
				Format("1/2/2006 3:04:05 PM") +
				"'.",
		}
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "", "", &armRefusal{
			401,
			"InvalidAuthenticationTokenAudience",
			"The access token has been obtained for wrong audience or resource. It should exactly match with one of " +
				"the allowed audiences '" + strings.Join(
				allowed,
				"','",
			) + "'.",
		}
	case err != nil:
		return "", "", &armRefusal{
			401,
			"InvalidAuthenticationToken",
			"The access token is invalid.",
		}
	}
	client, _ = claims["upn"].(string)
	if client == "" {
		client, _ = claims["appid"].(string)
	}
	return client, fmt.Sprint(claims["tid"]), nil
}

// findCluster looks for a cluster from the outside in, as the refusals name what is not there.
func (s *Server) findCluster(r *http.Request, id, client, tenant string) (Cluster, *armRefusal) {
	subscription, group, name := r.PathValue(
		"subscription",
	), r.PathValue(
		"group",
	), r.PathValue(
		"name",
	)
	inSubscription := s.clustersUnder("/subscriptions/" + subscription + "/")
	inGroup := s.clustersUnder("/subscriptions/" + subscription + "/resourceGroups/" + group + "/")
	var found []Cluster
	for _, c := range inGroup {
		if strings.EqualFold(c.ID, id) {
			found = append(found, c)
		}
	}
	reads := func(c Cluster) bool {
		return slices.ContainsFunc(
			c.Users,
			func(user string) bool { return strings.EqualFold(user, client) },
		)
	}
	switch {
	case len(inSubscription) == 0:
		return Cluster{}, &armRefusal{
			404,
			"SubscriptionNotFound",
			"The subscription '" + subscription + "' could not be found.",
		}
	case !strings.EqualFold(inSubscription[0].Tenant, tenant):
		right := inSubscription[0].Tenant
		return Cluster{}, &armRefusal{
			401,
			"InvalidAuthenticationTokenTenant",
			"The access token is from the wrong issuer '" + tokenIssuer(
				tenant,
			) + "'. It must match the tenant '" + tokenIssuer(
				right,
			) +
				"' associated with this subscription. Please use the authority (URL) 'https://login.windows.net/" + right + "' to get the token. Note, if the subscription is transferred to another tenant there is no impact to the services, " +
				"but information about new tenant could take time to propagate (up to an hour). If you just transferred your subscription and see this error message, please try back later.",
		}
	case len(found) > 0 && !reads(found[0]), !slices.ContainsFunc(inSubscription, reads):
		return Cluster{}, &armRefusal{
			403,
			"AuthorizationFailed",
			"The client '" + client + "' with object id '" + objectID(
				client,
			) + "' does not have authorization to perform action " +
				"'Microsoft.ContainerService/managedClusters/listClusterUserCredential/action' over scope '" + id + "' or the scope is invalid. If access was recently granted, please refresh your credentials.",
		}
	case len(inGroup) == 0:
		return Cluster{}, &armRefusal{
			404,
			"ResourceGroupNotFound",
			"Resource group '" + group + "' could not be found.",
		}
	case len(found) == 0:
		return Cluster{}, &armRefusal{
			404,
			"ResourceNotFound",
			"The Resource 'Microsoft.ContainerService/managedClusters/" + name + "' under resource group '" + group +
				"' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
		}
	}
	return found[0], nil
}

// clustersUnder are the clusters whose IDs begin so, in any case.
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

// An armRefusal is one of Azure Resource Manager's errors.
type armRefusal struct {
	status        int
	code, message string
}

func (s *Server) refuseARM(w http.ResponseWriter, e armRefusal) {
	w.Header().Set("x-ms-correlation-request-id", guid("correlation", s.nextSerial()))
	writeJSON(
		w,
		e.status,
		map[string]any{"error": map[string]any{"code": e.code, "message": e.message}},
	)
}
