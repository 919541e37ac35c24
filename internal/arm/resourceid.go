package arm

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/akslogin/akslogin/token"
)

// managedCluster is an AKS cluster by the names in its resource ID.
type managedCluster struct{ subscription, group, name string }

const (
	managedClusterType = "Microsoft.ContainerService/managedClusters"
	resourceIDPattern  = "/subscriptions/ID/resourceGroups/GROUP/providers/" + managedClusterType + "/CLUSTER"
	arcClusterType     = "Microsoft.Kubernetes/connectedClusters"
)

// parseResourceID parses an AKS cluster's resource ID. Azure ignores its case.
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
func parseResourceID(id string) (managedCluster, error) {
	parts, pattern, why := strings.Split(id, "/"), strings.Split(resourceIDPattern, "/"), ""
	matches := func(i int) bool { return i < len(parts) && strings.EqualFold(parts[i], pattern[i]) }
	resourceType := func() string { return parts[6] + "/" + parts[7] }
	switch {
	case strings.Contains(id, "://") || strings.HasPrefix(id, "#"):
		why = "is an address: what begins with /subscriptions/ in it may be the ID"
	case strings.HasSuffix(id, "/"):
		why = "ends with a slash"
	case !matches(0) || !matches(1) || !matches(3) || !matches(5) || len(parts) < len(pattern):
		why = "has not the form " + resourceIDPattern
	case strings.EqualFold(resourceType(), arcClusterType):
		why = "is of a cluster connected by Azure Arc, and only AKS's own (" + managedClusterType + ") have such credentials"
	case !strings.EqualFold(resourceType(), managedClusterType):
		why = fmt.Sprintf("is of a %q, not of a cluster (%s)", resourceType(), managedClusterType)
	case len(parts) > len(pattern):
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

// isResourceName reports whether s can be the name of a resource or a resource group: letters and
// digits of any script and the characters of punctuation, maxLength at most.
func isResourceName(s, punctuation string, maxLength int) bool {
	invalid := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune(punctuation, c)
	}
	return s != "" && len([]rune(s)) <= maxLength && !strings.ContainsFunc(s, invalid)
}

func (c managedCluster) resourceID() string {
	return "/subscriptions/" + c.subscription + "/resourceGroups/" + c.group +
		"/providers/" + managedClusterType + "/" + c.name
}
