package stanza

import (
	"encoding/json"

	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
)

// ClusterConfig is what a cluster's config says to a plugin.
type ClusterConfig struct {
	Flags   flags.Values // flags of get-token that it sets
	Ignored []string     // its other keys

	// PassedOn reports whether clients pass it on to the exec config's plugin. Otherwise get-token
	// does not read it.
	PassedOn bool
}

// ReadClusterConfig reads the config of a cluster with these fields, as get-token reads it when a
// client runs e. Errors are as of [flags.ReadClusterConfig].
func ReadClusterConfig(e *kubeconfig.Exec, cluster map[string]any) (c ClusterConfig, err error) {
	extensions, _ := cluster["extensions"].([]any)
	var config json.RawMessage
	for _, item := range extensions {
		if x, _ := item.(map[string]any); x["name"] == flags.ClusterConfigExtension {
			config, _ = json.Marshal(x["extension"])
		}
	}
	server, _ := cluster["server"].(string)
	c.PassedOn = e.ProvideClusterInfo != nil && *e.ProvideClusterInfo
	c.Flags, c.Ignored, err = flags.ReadClusterConfig(config, server)
	return c, err
}
