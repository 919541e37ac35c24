package doctor

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/token"
)

// readClusterConfig sets clusterFlags to what get-token reads from the cluster's config. The
// finding is without a status if the config sets no flag.
func (c *execConfig) readClusterConfig() token.Finding {
	found := token.Finding{Check: "cluster config"}
	server, _ := c.cluster["server"].(string)
	extensions, _ := c.cluster["extensions"].([]any)
	var config json.RawMessage
	for _, item := range extensions {
		if e, _ := item.(map[string]any); e["name"] == flags.ClusterConfigExtension {
			config, _ = json.Marshal(e["extension"])
		}
	}
	set, ignored, err := flags.ReadClusterConfig(config, server)
	passedOn := c.user.Exec.ProvideClusterInfo
	switch isPassedOn := passedOn != nil && *passedOn; {
	case !isPassedOn && (len(set) > 0 || err != nil):
		found.Status = token.StatusWarning
		found.Text = "the cluster has a config for plugins, and clients do not pass it on"
		found.Todo = "if get-token is to read it, have provideClusterInfo: true in the exec config"
	case !isPassedOn:
	case err != nil:
		found = token.ErrorFinding(found.Check, err)
	case len(set) > 0 || len(ignored) > 0:
		c.clusterFlags = set
		found.Status = token.StatusOK
		found.Text = "it sets " + strings.Join(slices.Sorted(maps.Keys(set)), ", ")
		if len(set) == 0 {
			found.Text = "it sets nothing"
		}
		if len(ignored) > 0 {
			found.Text += "; ignored: " + strings.Join(ignored, ", ")
		}
	}
	return found
}
