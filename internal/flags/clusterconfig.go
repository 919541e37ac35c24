package flags

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/token"
)

// ClusterConfigExtension names the extension of a kubeconfig's cluster that clients pass on as the
// cluster's config, if the exec config has provideClusterInfo.
// https://kubernetes.io/docs/reference/config-api/client-authentication.v1/#client-authentication-k8s-io-v1-Cluster
const ClusterConfigExtension = "client.authentication.k8s.io/exec"

// clusterSettings are the flags of get-token that a cluster's config may set. None is secret, and
// none decides how the login is made.
//
// sigs.k8s.io/cluster-inventory-api v0.1.2 (KEP-5339) passes the config on as it is. It fixes no
// names for Azure. Its own plugins read keys such as clusterName, and its example for kubelogin
// has --tenant-id, --authority-host and AZURE_CLIENT_ID:
// https://github.com/kubernetes-sigs/cluster-inventory-api/blob/v0.1.2/plugins/secretreader/cmd/plugin/main.go
// https://github.com/kubernetes-sigs/cluster-inventory-api/blob/v0.1.2/examples/controller-example/plugins/kubelogin/main.go
// So a key is a flag's name in any of these spellings: see [settingName].
var clusterSettings = []string{
	"tenant-id",
	"client-id",
	"server-id",
	"environment",
	"authority-host",
	"federated-token-file",
	"pop-claims",
}

// settingName returns the form of a key that all its spellings share: tenant-id, tenantId,
// tenantID, TENANT_ID and AZURE_TENANT_ID are the same key.
func settingName(key string) string {
	key = strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(key))
	return strings.TrimPrefix(key, "azure")
}

// ReadClusterConfig returns the flags that a cluster's config sets, and the keys in it that are
// ignored. server names the cluster in the error, which is a *token.UsageError and repeats no
// value. A config that is no object sets nothing, and ignored says so.
func ReadClusterConfig(config json.RawMessage, server string) (set Values, ignored []string, err error) {
	var fields map[string]json.RawMessage
	if len(config) > 0 && json.Unmarshal(config, &fields) != nil {
		return nil, []string{"all of it: it is not an object"}, nil
	}
	known := map[string]string{}
	for _, flag := range clusterSettings {
		known[settingName(flag)] = flag
	}
	set = Values{}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		flag, isSetting := known[settingName(key)]
		if !isSetting {
			ignored = append(ignored, key)
			continue
		}
		var value string
		if err := json.Unmarshal(fields[key], &value); err != nil {
			return nil, nil, clusterConfigError(server, "%q is %s, and not a string", key, jsonKind(fields[key]))
		}
		if earlier := set[flag]; value != "" && earlier != "" && value != earlier {
			return nil, nil, clusterConfigError(server, "%q is another %s than an earlier key has", key, flag)
		}
		if value != "" {
			set[flag] = value
		}
	}
	return set, ignored, nil
}

func clusterConfigError(server, format string, args ...any) error {
	host := ""
	if u, err := url.Parse(server); err == nil { // without what may be a password
		host = u.Host
	}
	return &token.UsageError{
		Text: fmt.Sprintf("the config of cluster %q: ", host) + fmt.Sprintf(format, args...),
		Hint: "correct the extension " + ClusterConfigExtension + " of the cluster in the kubeconfig or ClusterProfile",
	}
}

// jsonKind names the kind of a JSON value other than a string.
func jsonKind(value json.RawMessage) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}
