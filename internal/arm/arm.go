// Package arm asks Azure Resource Manager for a cluster's kubeconfig, with one request and no SDK.
package arm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/akslogin/akslogin/token"
)

// aksAPIVersion is a stable API version that all clouds have.
// https://learn.microsoft.com/rest/api/aks/managed-clusters/list-cluster-user-credentials
const aksAPIVersion = "2024-09-01"

// ClusterUserKubeconfig returns the kubeconfig that Azure Resource Manager gives to a cluster's
// users, the one that az aks get-credentials merges. request must be resolved. Its token is cached
// as get-token's are. publicFQDN asks for the public address of a private cluster that has one.
//
// A resource ID that is not an AKS cluster's is refused with a *token.UsageError before anything is
// sent. The result is what the service sent: it looks like a kubeconfig and is not checked further.
// It may hold a client certificate with its key.
func ClusterUserKubeconfig(ctx context.Context, request token.Request, login token.Options, resourceID string, publicFQDN bool) ([]byte, error) {
	cluster, err := parseResourceID(resourceID)
	if err != nil {
		return nil, err
	}
	request, endpoint, err := request.ForResourceManager()
	if err != nil {
		return nil, err
	}
	tok, err := token.Get(ctx, request, login)
	if err != nil {
		return nil, err
	}
	req := credentialRequest{request, endpoint, cluster}
	response, err := token.Post(ctx, req.url(publicFQDN), request, tok, login)
	if err != nil {
		return nil, err
	}
	if response.Status != http.StatusOK {
		return nil, req.refusalError(response)
	}
	kubeconfig, err := extractKubeconfig(response.Body)
	if err != nil {
		return nil, req.newError(err.Error(), `see what state the cluster is in: az aks show --ids "{id}"`)
	}
	return kubeconfig, nil
}

// credentialRequest asks Azure Resource Manager for the kubeconfig of one cluster.
type credentialRequest struct {
	request  token.Request
	endpoint string // https://HOST
	cluster  managedCluster
}

// url returns the address of the request. format=exec asks for a kubeconfig whose users run an exec
// plugin.
func (c credentialRequest) url(publicFQDN bool) string {
	query := url.Values{"api-version": {aksAPIVersion}, "format": {"exec"}}
	if publicFQDN {
		query.Set("server-fqdn", "public")
	}
	path := url.URL{Path: c.cluster.resourceID() + "/listClusterUserCredential", RawQuery: query.Encode()}
	return c.endpoint + path.String()
}

// extractKubeconfig returns the kubeconfig in a response body. Errors repeat nothing of the body.
func extractKubeconfig(body []byte) ([]byte, error) {
	var response struct {
		Kubeconfigs []struct{ Value []byte } // encoding/json reads base64
	}
	err := json.Unmarshal(body, &response)
	var corrupt base64.CorruptInputError
	switch {
	case errors.As(err, &corrupt):
		return nil, errors.New("the kubeconfig in the answer is not in base64")
	case err != nil:
		return nil, errors.New("the answer is not the JSON that it sends")
	case len(response.Kubeconfigs) == 0 || len(response.Kubeconfigs[0].Value) == 0:
		return nil, errors.New("the answer has no kubeconfig")
	}
	kubeconfig := response.Kubeconfigs[0].Value
	for _, word := range []string{"clusters", "contexts", "users"} { // Parsing it shows the rest.
		if !bytes.Contains(kubeconfig, []byte(word)) {
			return nil, errors.New("what the answer has is not a kubeconfig")
		}
	}
	return kubeconfig, nil
}
