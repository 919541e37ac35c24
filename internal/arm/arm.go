package arm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/akslogin/akslogin/token"
)

// aksAPIVersion is a stable version of the API that all clouds have.
// https://learn.microsoft.com/rest/api/aks/managed-clusters/list-cluster-user-credentials
const aksAPIVersion = "2024-09-01"

// ClusterUserKubeconfig returns the kubeconfig that Azure Resource Manager gives a cluster's users,
// the one that az aks get-credentials merges. request is resolved; the token is got, stored and
// found again as get-token's are. A resource ID that is no AKS cluster's is refused before anything
// is sent. publicFQDN asks for the public address of a private cluster that has one.
//
// The answer is the service's: that it may be a kubeconfig is all that is known of it. It may hold
// a client certificate with its key.
func ClusterUserKubeconfig(
	ctx context.Context,
	request token.Request,
	w token.Options,
	resourceID string,
	publicFQDN bool,
) ([]byte, error) {
	cluster, err := parseResourceID(resourceID)
	if err != nil {
		return nil, err
	}
	request, endpoint, err := request.ForResourceManager()
	if err != nil {
		return nil, err
	}
	tok, err := token.Get(ctx, request, w)
	if err != nil {
		return nil, err
	}
	call := credentialRequest{request, endpoint, cluster}
	answer, err := token.Post(ctx, call.url(publicFQDN), request, tok, w)
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, call.refusalError(answer)
	}
	kubeconfig, err := extractKubeconfig(answer.Body)
	if err != nil {
		return nil, call.newError(
			err.Error(),
			`see what state the cluster is in: az aks show --ids "{id}"`,
		)
	}
	return kubeconfig, nil
}

// managedCluster is an AKS cluster by the names in its resource ID.
type managedCluster struct{ subscription, group, name string }

const (
	managedClusterType = "Microsoft.ContainerService/managedClusters"
	resourceIDPattern  = "/subscriptions/ID/resourceGroups/GROUP/providers/" + managedClusterType + "/CLUSTER"
	arcClusterType     = "Microsoft.Kubernetes/connectedClusters"
)

// parseResourceID reads an AKS cluster's resource ID. Azure does not mind capitals in it.
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
func parseResourceID(id string) (managedCluster, error) {
	parts, form, why := strings.Split(id, "/"), strings.Split(resourceIDPattern, "/"), ""
	fits := func(i int) bool { return i < len(parts) && strings.EqualFold(parts[i], form[i]) }
	kind := func() string { return parts[6] + "/" + parts[7] }
	switch {
	case strings.Contains(id, "://") || strings.HasPrefix(id, "#"):
		why = "is an address: what begins with /subscriptions/ in it may be the ID"
	case strings.HasSuffix(id, "/"):
		why = "ends with a slash"
	case !fits(0) || !fits(1) || !fits(3) || !fits(5) || len(parts) < len(form):
		why = "has not the form " + resourceIDPattern
	case strings.EqualFold(kind(), arcClusterType):
		why = "is of a cluster connected by Azure Arc, and only AKS's own (" + managedClusterType + ") have such credentials"
	case !strings.EqualFold(kind(), managedClusterType):
		why = fmt.Sprintf("is of a %q, not of a cluster (%s)", kind(), managedClusterType)
	case len(parts) > len(form):
		why = "goes on after the cluster's name"
	case !token.IsGUID(parts[2]):
		why = fmt.Sprintf("names the subscription %q, and a subscription's ID is a GUID", parts[2])
	case !isResourceName(parts[4], "-_.()", 90) || strings.HasSuffix(parts[4], "."):
		why = fmt.Sprintf("names the resource group %q, and none can have that name", parts[4])
	case !isResourceName(parts[8], "-_", 63):
		why = fmt.Sprintf("names the cluster %q, and none can have that name", parts[8])
	}
	if why != "" {
		return managedCluster{}, &token.UsageError{
			Text: fmt.Sprintf("resource ID %q (--resource-id) %s", id, why),
			Hint: "az aks show --resource-group GROUP --name CLUSTER --query id --output tsv prints a cluster's",
		}
	}
	return managedCluster{parts[2], parts[4], parts[8]}, nil
}

// isResourceName tells whether s can be a resource's or a resource group's name, which may have
// letters of any script.
func isResourceName(s, more string, longest int) bool {
	foreign := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune(more, c)
	}
	return s != "" && len([]rune(s)) <= longest && !strings.ContainsFunc(s, foreign)
}

func (c managedCluster) resourceID() string {
	return "/subscriptions/" + c.subscription + "/resourceGroups/" + c.group + "/providers/" + managedClusterType + "/" + c.name
}

// credentialRequest is a question about a cluster to Azure Resource Manager.
type credentialRequest struct {
	request  token.Request
	endpoint string // https://HOST
	cluster  managedCluster
}

// url is where the credentials of the cluster's users are asked for. "exec" is the form of
// kubeconfig whose users run a plugin.
func (c credentialRequest) url(publicFQDN bool) string {
	query := url.Values{"api-version": {aksAPIVersion}, "format": {"exec"}}
	if publicFQDN {
		query.Set("server-fqdn", "public")
	}
	path := url.URL{
		Path:     c.cluster.resourceID() + "/listClusterUserCredential",
		RawQuery: query.Encode(),
	}
	return c.endpoint + path.String()
}

const (
	listClustersHint   = "az aks list --query [].id --output tsv lists the clusters' resource IDs"
	noSubscriptionHint = "{service} knows no subscription {subscription} : look at the resource ID, and at --environment if it is another cloud's"
)

// hintsByCode say what to do, by Azure Resource Manager's code. In braces are facts: see failed.
// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
var hintsByCode = map[string]string{
	"AuthorizationFailed": `{who} needs a role on the cluster: az role assignment create --role "Azure Kubernetes Service Cluster User Role" --assignee {client} --scope "{id}" ; ` +
		"a new one takes some minutes to work; a cluster that is not there is refused alike",
	"SubscriptionNotFound":  noSubscriptionHint,
	"InvalidSubscriptionId": noSubscriptionHint,
	"ResourceGroupNotFound": "there is no resource group {group} in subscription {subscription} : " + listClustersHint,
	"ResourceNotFound":      "there is no cluster {cluster} in resource group {group} : " + listClustersHint,
	"InvalidAuthenticationTokenTenant": "the subscription belongs to another tenant than {tenant}, the one that is logged in to: " +
		"a managed identity or application of the subscription's own tenant is needed, and that tenant's ID",
	"ExpiredAuthenticationToken": "by this machine's clock the token is good: see that the clock is right",
}

// refusalError is an answer that does not grant what was asked for.
func (c credentialRequest) refusalError(a token.Response) error {
	var said struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(
		a.Body,
		&said,
	) // what does not fit stays empty, and the status still says something
	code, message := token.Clean(said.Error.Code), token.Clean(said.Error.Message)
	if code == "" {
		return c.newError(
			fmt.Sprintf("HTTP status %d, and not in its form", a.Status),
			cmp.Or(
				statusHint(a),
				"something else than {service} answered there: a proxy, a firewall's page, or the wrong address",
			),
		)
	}
	if id := token.Clean(a.Header.Get("X-Ms-Correlation-Request-Id")); id != "" {
		message = "(correlation ID " + id + ") " + message // in front: messages are long, and what is too long is cut
	}
	return c.newError(code+": "+message, cmp.Or(hintsByCode[code], statusHint(a)))
}

// statusHint says what to do, by HTTP status.
func statusHint(a token.Response) string {
	switch {
	case a.Status == http.StatusUnauthorized:
		return "akslogin cache clear forgets the token that {service} does not take; the next is a new one"
	case a.Status == http.StatusTooManyRequests && a.RetryAfter > 0:
		return fmt.Sprintf("{service} asks for no more requests for %s", a.RetryAfter)
	case a.Status == http.StatusTooManyRequests:
		return "{service} is asked too often; try again in some minutes"
	case a.Status >= 500:
		return "{service} has trouble; it was tried several times. See https://status.azure.com if it lasts"
	}
	return ""
}

// newError says what was tried, and fills in the hint.
func (c credentialRequest) newError(what, hint string) error {
	r := c.request
	fill := strings.NewReplacer(
		"{service}",
		"Azure Resource Manager",
		"{id}",
		c.cluster.resourceID(),
		"{subscription}",
		c.cluster.subscription,
		"{group}",
		c.cluster.group,
		"{cluster}",
		c.cluster.name,
		"{client}",
		r.ClientID,
		"{who}",
		fmt.Sprintf("client ID %s (%s)", r.ClientID, r.From["client-id"]),
		"{tenant}",
		fmt.Sprintf("%s (%s)", r.TenantID, r.From["tenant-id"]),
	)
	return &token.FailedError{
		Text: fmt.Sprintf(
			"ask Azure Resource Manager at %s for the kubeconfig of cluster %q: %s",
			c.endpoint,
			c.cluster.name,
			what,
		),
		Hint: fill.Replace(hint),
	}
}

// extractKubeconfig takes the kubeconfig out of an answer. Its errors repeat nothing of it.
func extractKubeconfig(answer []byte) ([]byte, error) {
	var given struct {
		Kubeconfigs []struct{ Value []byte } // encoding/json reads base64
	}
	err := json.Unmarshal(answer, &given)
	var corrupt base64.CorruptInputError
	switch {
	case errors.As(err, &corrupt):
		return nil, errors.New("the kubeconfig in the answer is not in base64")
	case err != nil:
		return nil, errors.New("the answer is not the JSON that it sends")
	case len(given.Kubeconfigs) == 0 || len(given.Kubeconfigs[0].Value) == 0:
		return nil, errors.New("the answer has no kubeconfig")
	}
	kubeconfig := given.Kubeconfigs[0].Value
	for _, word := range []string{"clusters", "contexts", "users"} { // whoever reads it finds out the rest
		if !bytes.Contains(kubeconfig, []byte(word)) {
			return nil, errors.New("what the answer has is not a kubeconfig")
		}
	}
	return kubeconfig, nil
}
