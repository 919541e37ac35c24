package arm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
)

const (
	listClustersHint   = "az aks list --query [].id --output tsv lists the clusters' resource IDs"
	noSubscriptionHint = "{service} does not know subscription {subscription} : check the " +
		"resource ID, and --environment if it is in another cloud"
)

// hintsByCode say what to do about Azure Resource Manager's error codes. newError fills in what is
// in braces.
// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
var hintsByCode = map[string]string{
	"AuthorizationFailed": `{who} needs a role on the cluster: az role assignment create --role "Azure Kubernetes Service Cluster User Role" --assignee {client} --scope "{id}" ; ` +
		"a new one takes some minutes to work; Azure refuses a cluster that does not exist in " +
		"the same way",
	"SubscriptionNotFound":  noSubscriptionHint,
	"InvalidSubscriptionId": noSubscriptionHint,
	"ResourceGroupNotFound": "there is no resource group {group} in subscription {subscription} : " + listClustersHint,
	"ResourceNotFound":      "there is no cluster {cluster} in resource group {group} : " + listClustersHint,
	"InvalidAuthenticationTokenTenant": "the subscription belongs to another tenant than " +
		"{tenant}, which this login uses: " +
		"use a managed identity or application of the subscription's own tenant, and that " +
		"tenant's ID",
	"ExpiredAuthenticationToken": "the token is valid by this machine's clock: check that the " +
		"clock is right",
}

// refusalError is the error for a response other than 200.
func (c credentialRequest) refusalError(r token.Response) error {
	var body struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(r.Body, &body) // Without a code, the HTTP status is reported.
	code, message := token.Clean(body.Error.Code), token.Clean(body.Error.Message)
	if code == "" {
		const hint = "something other than {service} answered there: a proxy, a firewall's page, or the wrong address"
		return c.newError(fmt.Sprintf("HTTP status %d, without the service's error format",
			r.Status), cmp.Or(statusHint(r), hint))
	}
	if id := token.Clean(r.Header.Get("X-Ms-Correlation-Request-Id")); id != "" {
		message = "(correlation ID " + id + ") " + message // in front, because long messages are cut
	}
	return c.newError(code+": "+message, cmp.Or(hintsByCode[code], statusHint(r)))
}

// statusHint says what to do about an HTTP status, "" if there is nothing to say.
func statusHint(r token.Response) string {
	switch {
	case r.Status == http.StatusUnauthorized:
		return "{program} cache clear removes the token that {service} refuses; the next run " +
			"requests a new one"
	case r.Status == http.StatusTooManyRequests && r.RetryAfter > 0:
		return fmt.Sprintf("{service} asks for no more requests for %s", r.RetryAfter)
	case r.Status == http.StatusTooManyRequests:
		return "{service} gets too many requests; try again in some minutes"
	case r.Status >= 500:
		return "{service} reports an internal problem, also after retries; see https://status.azure.com if it lasts"
	}
	return ""
}

// newError says what was tried and fills in the hint's placeholders.
func (c credentialRequest) newError(what, hint string) error {
	r := c.request
	fill := strings.NewReplacer(
		"{program}", process.Name(),
		"{service}", "Azure Resource Manager",
		"{id}", c.cluster.resourceID(),
		"{subscription}", c.cluster.subscription,
		"{group}", c.cluster.group,
		"{cluster}", c.cluster.name,
		"{client}", r.ClientID,
		"{who}", fmt.Sprintf("client ID %s (%s)", r.ClientID, r.From["client-id"]),
		"{tenant}", fmt.Sprintf("%s (%s)", r.TenantID, r.From["tenant-id"]),
	)
	return &token.FailedError{
		Text: fmt.Sprintf("ask Azure Resource Manager at %s for the kubeconfig of cluster %q: %s",
			c.endpoint, c.cluster.name, what),
		Hint: fill.Replace(hint),
	}
}
