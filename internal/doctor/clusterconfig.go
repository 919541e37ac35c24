package doctor

import (
	"maps"
	"slices"
	"strings"

	"github.com/akslogin/akslogin/internal/stanza"
	"github.com/akslogin/akslogin/token"
)

// readClusterConfig sets clusterFlags to what get-token reads from the cluster's config. The
// finding is without a status if there is no config, or none that get-token could read.
func (c *execConfig) readClusterConfig() token.Finding {
	const check = "cluster config"
	config, err := stanza.ReadClusterConfig(c.user.Exec, c.cluster)
	switch {
	case err == nil && len(config.Flags) == 0 && (len(config.Ignored) == 0 || !config.PassedOn):
		return token.Finding{}
	case !config.PassedOn:
		return token.Finding{
			Status: token.StatusWarning,
			Check:  check,
			Text:   "the cluster has a config for plugins, but clients do not pass it on",
			Todo:   "if get-token should read it, set provideClusterInfo: true in the exec config",
		}
	case err != nil:
		return token.ErrorFinding(check, err)
	}
	c.clusterFlags = config.Flags
	found := token.Finding{Status: token.StatusInfo, Check: check, Text: "it sets nothing"}
	if len(config.Flags) > 0 {
		found.Text = "it sets " + strings.Join(slices.Sorted(maps.Keys(config.Flags)), ", ")
	}
	if len(config.Ignored) > 0 {
		found.Text += "; ignored: " + strings.Join(config.Ignored, ", ")
	}
	return found
}
