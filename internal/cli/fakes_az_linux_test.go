package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// subscriptions are what an account of the Azure CLI has access to.
var subscriptions = []struct {
	id, name, tenant string
	users            []string
}{
	{subscription, "Production", tenant, []string{alice, client}},
	{otherSubscription, "Dev and Test", tenant, []string{alice, bob}},
	{"77777777-aaaa-4444-8888-000000000003", "Elsewhere", otherTenant, []string{carol, otherClient}},
}

// azProfile is azureProfile.json.
type azProfile struct {
	InstallationID string           `json:"installationId"`
	Subscriptions  []azSubscription `json:"subscriptions"`
}

type azSubscription struct {
	ID              string   `json:"id"`
	Name            string   `json:"name"`
	State           string   `json:"state"`
	User            azUser   `json:"user"`
	IsDefault       bool     `json:"isDefault"`
	TenantID        string   `json:"tenantId"`
	EnvironmentName string   `json:"environmentName"`
	HomeTenantID    string   `json:"homeTenantId"`
	ManagedBy       []string `json:"managedByTenants"`
}

type azUser struct {
	Name string `json:"name"`
	Type string `json:"type"` // user or servicePrincipal
}

// az is the Azure CLI with its folder.
type az struct {
	folder, cloud string
	profile       azProfile
	flags         map[string]string
}

func runAz(args []string) error {
	words, flags, err := splitArguments(args, map[string]string{
		"-o": "--output", "-u": "--username", "-p": "--password", "-t": "--tenant", "-s": "--subscription", "--name": "--subscription", "-n": "--subscription",
	}, "--service-principal", "--allow-no-subscriptions", "--only-show-errors")
	if err != nil {
		return err
	}
	a := az{flags: flags, cloud: "AzureCloud"}
	if a.folder, err = configFolder("AZURE_CONFIG_DIR", ".azure"); err != nil {
		return err
	}
	command := map[string]func() error{
		"login": a.login, "logout": a.logout, "account set": a.setSubscription, "account show": a.show, "account clear": a.clear, "account get-access-token": a.token, "cloud set": a.setCloud,
	}[strings.Join(words, " ")]
	if command == nil {
		return cliErrorf("ERROR: '%s' is misspelled or not recognized by the system.", strings.Join(words, " "))
	}
	if err := a.load(); err != nil {
		return err
	}
	return command()
}

// load reads the profile and makes it at the first run, as every command of az does.
func (a *az) load() error {
	raw, err := os.ReadFile(a.file("azureProfile.json"))
	if err == nil {
		err = json.Unmarshal(bytes.TrimPrefix(raw, []byte(byteOrderMark)), &a.profile)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if raw, err := os.ReadFile(a.file("config")); err == nil {
		if _, name, ok := strings.Cut(string(raw), "name = "); ok {
			a.cloud, _, _ = strings.Cut(name, "\n")
		}
	}
	if a.profile.InstallationID == "" {
		a.profile.InstallationID = "88888888-aaaa-11ef-8888-000000000001"
		return a.save()
	}
	return nil
}

func (a *az) file(name string) string { return filepath.Join(a.folder, name) }

func (a *az) tokenCachePath() string { return a.file("msal_token_cache.json") }

func (a *az) secretsPath() string { return a.file("service_principal_entries.json") }

// save writes in place, as az does: whoever reads at that moment may find half of it.
func (a *az) save() error {
	raw, err := json.Marshal(a.profile)
	if err != nil {
		return err
	}
	return os.WriteFile(a.file("azureProfile.json"), append([]byte(byteOrderMark), raw...), 0o600)
}

const managementScope = "https://management.core.windows.net//.default"

func (a *az) login() error {
	user, secret := a.flags["--username"], a.flags["--password"]
	_, principal := a.flags["--service-principal"]
	account := azUser{user, "user"}
	err := updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		if principal {
			return nil
		}
		home := a.flags["--tenant"]
		if home == "" {
			home = "organizations"
		}
		answer, err := askEntra(home, cliClient, managementScope+personalScopes, url.Values{"grant_type": {"password"}, "username": {user}, "password": {secret}, "client_info": {"1"}})
		if err == nil {
			_, err = c.storeAccount(answer, user, home, managementScope)
		}
		return err
	})
	if principal && err == nil {
		account.Type = "servicePrincipal"
		err = a.loginPrincipal(user, secret)
	}
	if err != nil {
		return cliErrorf("ERROR: %v", err)
	}
	var found []azSubscription
	for _, s := range subscriptions {
		if only := a.flags["--tenant"]; slices.Contains(s.users, user) && (only == "" || only == s.tenant) {
			found = append(found, azSubscription{ID: s.id, Name: s.name, State: "Enabled", User: account, TenantID: s.tenant, EnvironmentName: a.cloud, HomeTenantID: s.tenant, ManagedBy: []string{}})
		}
	}
	if len(found) == 0 {
		return cliErrorf("ERROR: No subscriptions found for %s.", user)
	}
	return a.mergeSubscriptions(found)
}

func (a *az) loginPrincipal(clientID, secret string) error {
	home := a.flags["--tenant"]
	answer, err := askEntra(home, clientID, managementScope, url.Values{"grant_type": {"client_credentials"}, "client_secret": {secret}})
	if err != nil {
		return err
	}
	entries := a.principals()
	entries = slices.DeleteFunc(entries, func(e map[string]string) bool { return e["client_id"] == clientID && e["tenant"] == home })
	raw, err := json.MarshalIndent(append(entries, map[string]string{"client_id": clientID, "tenant": home, "client_secret": secret}), "", "    ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.secretsPath(), raw, 0o600); err != nil {
		return err
	}
	return updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		c.storeAccessToken(answer, "", clientID, home, managementScope)
		return nil
	})
}

func (a *az) principals() (entries []map[string]string) {
	if raw, err := os.ReadFile(a.secretsPath()); err == nil {
		json.Unmarshal(raw, &entries) // what is broken holds nobody
	}
	return entries
}

// mergeSubscriptions adds subscriptions: the new login becomes the current one, with the former
// current subscription if it has that too.
func (a *az) mergeSubscriptions(found []azSubscription) error {
	current := found[0].ID
	for i, s := range a.profile.Subscriptions {
		if s.IsDefault && slices.ContainsFunc(found, func(f azSubscription) bool { return f.ID == s.ID }) {
			current = s.ID
		}
		a.profile.Subscriptions[i].IsDefault = false
	}
	for _, f := range found {
		f.IsDefault = f.ID == current
		if i := slices.IndexFunc(a.profile.Subscriptions, func(s azSubscription) bool { return s.ID == f.ID }); i >= 0 {
			a.profile.Subscriptions[i] = f
			continue
		}
		a.profile.Subscriptions = append(a.profile.Subscriptions, f)
	}
	return a.saveCurrent(current)
}

// saveCurrent writes the current subscription, which stands in the clouds' file too.
func (a *az) saveCurrent(id string) error {
	clouds := "[" + a.cloud + "]\nsubscription = " + id + "\n\n"
	if err := os.WriteFile(a.file("clouds.config"), []byte(clouds), 0o600); err != nil {
		return err
	}
	return a.save()
}

// findSubscription is a subscription by ID or name, "" for the current one.
func (a *az) findSubscription(asked string) (*azSubscription, error) {
	var here []*azSubscription
	for i, s := range a.profile.Subscriptions {
		if s.EnvironmentName == a.cloud {
			here = append(here, &a.profile.Subscriptions[i])
		}
	}
	if len(here) == 0 {
		return nil, cliErrorf("ERROR: Please run 'az login' to setup account.")
	}
	for _, s := range here {
		if asked == "" && s.IsDefault || asked != "" && (strings.EqualFold(s.ID, asked) || strings.EqualFold(s.Name, asked)) {
			return s, nil
		}
	}
	if asked != "" {
		return nil, cliErrorf("ERROR: Subscription '%s' not found. Check the spelling and casing and try again.", asked)
	}
	return nil, cliErrorf("ERROR: No subscription found. Run 'az account set' to select a subscription.")
}

func (a *az) setSubscription() error {
	s, err := a.findSubscription(a.flags["--subscription"])
	if err != nil {
		return cliErrorf("ERROR: The subscription of '%s' doesn't exist in cloud '%s'.", a.flags["--subscription"], a.cloud)
	}
	for i := range a.profile.Subscriptions {
		a.profile.Subscriptions[i].IsDefault = false
	}
	s.IsDefault = true
	return a.saveCurrent(s.ID)
}

func (a *az) show() error {
	s, err := a.findSubscription(a.flags["--subscription"])
	if err != nil {
		return err
	}
	return printJSON(s)
}

func (a *az) setCloud() error {
	a.cloud = a.flags["--subscription"]
	return os.WriteFile(a.file("config"), []byte("[cloud]\nname = "+a.cloud+"\n\n"), 0o600)
}

func (a *az) logout() error {
	user := a.flags["--username"]
	if user == "" {
		s, err := a.findSubscription("")
		if err != nil {
			return cliErrorf("ERROR: There are no active accounts.")
		}
		user = s.User.Name
	}
	a.profile.Subscriptions = slices.DeleteFunc(a.profile.Subscriptions, func(s azSubscription) bool { return strings.EqualFold(s.User.Name, user) })
	if err := a.save(); err != nil {
		return err
	}
	if entries := a.principals(); len(entries) > 0 {
		raw, err := json.MarshalIndent(slices.DeleteFunc(entries, func(e map[string]string) bool { return e["client_id"] == user }), "", "    ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(a.secretsPath(), raw, 0o600); err != nil {
			return err
		}
	}
	return updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		if home, ok := c.account(user); ok {
			c.removeAccount(home)
		}
		maps.DeleteFunc(c.AccessToken, func(_ string, e map[string]string) bool { return e["client_id"] == user })
		return nil
	})
}

func (a *az) clear() error {
	a.profile.Subscriptions = []azSubscription{}
	os.Remove(a.tokenCachePath())
	os.Remove(a.secretsPath())
	return a.save()
}

func (a *az) token() error {
	where, ofSubscription := a.flags["--tenant"], a.flags["--subscription"]
	if where != "" && ofSubscription != "" {
		return cliErrorf("ERROR: Please specify only one of subscription and tenant, not both")
	}
	s, err := a.findSubscription(ofSubscription)
	if err != nil {
		return err
	}
	if where == "" {
		where = s.TenantID
	}
	scope := a.flags["--resource"] + "/.default"
	if a.flags["--resource"] == "" {
		scope = managementScope
	}
	var token string
	var expires int64
	err = updateMSALCache(a.tokenCachePath(), func(c *msalCache) (err error) {
		if s.User.Type == "servicePrincipal" {
			token, expires, err = a.principalToken(c, s.User.Name, where, scope)
			return err
		}
		home, ok := c.account(s.User.Name)
		if !ok {
			return cliErrorf("User '%s' does not exist in MSAL token cache. Run `az login`.", s.User.Name)
		}
		token, expires, err = c.acquireSilently(home, s.User.Name, where, scope)
		if err != nil {
			return cliErrorf("%v\nInteractive authentication is needed. Please run:\naz logout\naz login --tenant \"%s\" --scope \"%s\"", err, where, scope)
		}
		return nil
	})
	if err != nil {
		return cliErrorf("ERROR: %v", err)
	}
	answer := map[string]any{
		"accessToken": token, "expiresOn": time.Unix(expires, 0).Format("2006-01-02 15:04:05.000000"), "tenant": where, "tokenType": "Bearer",
	}
	if a.flags["--tenant"] == "" {
		answer["subscription"] = s.ID
	}
	if os.Getenv("FAKE_OLD") == "" {
		answer["expires_on"] = expires
	}
	return printJSON(answer)
}

func (a *az) principalToken(c *msalCache, clientID, tenant, scope string) (token string, expires int64, err error) {
	if token, expires, ok := c.accessToken("", clientID, tenant, scope); ok {
		return token, expires, nil
	}
	for _, e := range a.principals() {
		if e["client_id"] != clientID {
			continue
		}
		answer, err := askEntra(tenant, clientID, scope, url.Values{"grant_type": {"client_credentials"}, "client_secret": {e["client_secret"]}})
		if err != nil {
			return "", 0, err
		}
		c.storeAccessToken(answer, "", clientID, tenant, scope)
		return answer.AccessToken, time.Now().Unix() + answer.ExpiresIn, nil
	}
	return "", 0, cliErrorf("Could not retrieve credential from local cache for service principal %s. Run `az login` for this service principal.", clientID)
}
