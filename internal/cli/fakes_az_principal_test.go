package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"
)

// loginPrincipal signs in a service principal with a secret, and stores both.
func (a *az) loginPrincipal(clientID, secret string) error {
	home := a.flags["--tenant"]
	response, err := requestToken(home, clientID, managementScope, url.Values{
		"grant_type": {"client_credentials"}, "client_secret": {secret},
	})
	if err != nil {
		return err
	}
	entries := slices.DeleteFunc(a.principals(), func(e map[string]string) bool {
		return e["client_id"] == clientID && e["tenant"] == home
	})
	err = a.savePrincipals(append(entries, map[string]string{
		"client_id": clientID, "tenant": home, "client_secret": secret,
	}))
	if err != nil {
		return err
	}
	return updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		c.storeAccessToken(response, "", clientID, home, managementScope)
		return nil
	})
}

// principals returns the stored service principals.
func (a *az) principals() (entries []map[string]string) {
	if raw, err := os.ReadFile(a.secretsPath()); err == nil {
		json.Unmarshal(raw, &entries) // an invalid file counts as empty
	}
	return entries
}

func (a *az) savePrincipals(entries []map[string]string) error {
	raw, err := json.MarshalIndent(entries, "", "    ")
	if err != nil {
		return err
	}
	return os.WriteFile(a.secretsPath(), raw, 0o600)
}

// principalToken returns a token for a service principal: a cached one, or one for its secret.
func (a *az) principalToken(
	c *msalCache, clientID, tenant, scope string,
) (token string, expires int64, err error) {
	if token, expires, ok := c.accessToken("", clientID, tenant, scope); ok {
		return token, expires, nil
	}
	for _, e := range a.principals() {
		if e["client_id"] != clientID {
			continue
		}
		response, err := requestToken(tenant, clientID, scope, url.Values{
			"grant_type": {"client_credentials"}, "client_secret": {e["client_secret"]},
		})
		if err != nil {
			return "", 0, err
		}
		c.storeAccessToken(response, "", clientID, tenant, scope)
		return response.AccessToken, time.Now().Unix() + response.ExpiresIn, nil
	}
	return "", 0, cliErrorf("Could not retrieve credential from local cache for service principal "+
		"%s. Run `az login` for this service principal.", clientID)
}

// loginIdentity signs in the machine's managed identity.
func (a *az) loginIdentity() error {
	account := azUser{
		Name: "systemAssignedIdentity", Type: "servicePrincipal", AssignedIdentityInfo: "MSI",
	}
	s := subscriptions[0]
	return a.mergeSubscriptions([]azSubscription{{
		ID: s.id, Name: s.name, State: "Enabled", User: account, TenantID: s.tenant,
		HomeTenantID: s.tenant, EnvironmentName: a.cloud, ManagedBy: []string{},
	}})
}

// identityToken prints a token of the machine's managed identity.
func (a *az) identityToken(s *azSubscription) error {
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {a.flags["--resource"]}}
	address := os.Getenv("AZURE_POD_IDENTITY_AUTHORITY_HOST") + "/metadata/identity/oauth2/token?"
	req, err := http.NewRequest(http.MethodGet, address+query.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Metadata", "true")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return cliErrorf("ERROR: %v", err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresOn   int64  `json:"expires_on,string"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		return cliErrorf("ERROR: HTTP status %d, %v", resp.StatusCode, err)
	}
	return printJSON(map[string]any{
		"accessToken": answer.AccessToken, "expires_on": answer.ExpiresOn,
		"subscription": s.ID, "tenant": s.TenantID, "tokenType": "Bearer",
	})
}
