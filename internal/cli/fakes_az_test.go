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

// subscriptions are the subscriptions that exist, with the accounts that can access them.
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

	AssignedIdentityInfo string `json:"assignedIdentityInfo,omitempty"` // MSI: of the machine
}

// az is a run of the fake Azure CLI.
type az struct {
	folder, cloud string
	profile       azProfile
	flags         map[string]string
}

func runAz(args []string) error {
	words, flags, err := splitArguments(args, map[string]string{
		"-o": "--output", "-u": "--username", "-p": "--password", "-t": "--tenant",
		"-s": "--subscription", "--name": "--subscription", "-n": "--subscription",
	}, "--service-principal", "--identity", "--allow-no-subscriptions", "--only-show-errors")
	if err != nil {
		return err
	}
	a := az{flags: flags, cloud: "AzureCloud"}
	if a.folder, err = configFolder("AZURE_CONFIG_DIR", ".azure"); err != nil {
		return err
	}
	name := strings.Join(words, " ")
	command := map[string]func() error{
		"login":                    a.login,
		"logout":                   a.logout,
		"account clear":            a.clear,
		"account get-access-token": a.token,
		"account set":              a.setSubscription,
		"account show":             a.show,
		"cloud set":                a.setCloud,
	}[name]
	if command == nil {
		return cliErrorf("ERROR: '%s' is misspelled or not recognized by the system.", name)
	}
	if err := a.load(); err != nil {
		return err
	}
	return command()
}

// load reads the profile, or creates it in the first run, as every command of az does.
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

// save writes the profile in place, as az does: a concurrent reader may see a part of it.
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
	account := azUser{Name: user, Type: "user"}
	if _, identity := a.flags["--identity"]; identity {
		return a.loginIdentity()
	}
	err := updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		if principal {
			return nil
		}
		home := a.flags["--tenant"]
		if home == "" {
			home = "organizations"
		}
		response, err := requestToken(home, cliClient, managementScope+userScopes, url.Values{
			"grant_type": {"password"}, "client_info": {"1"},
			"username": {user}, "password": {secret},
		})
		if err == nil {
			_, err = c.storeAccount(response, user, home, managementScope)
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
	var accessible []azSubscription
	for _, s := range subscriptions {
		only := a.flags["--tenant"]
		if slices.Contains(s.users, user) && (only == "" || only == s.tenant) {
			accessible = append(accessible, azSubscription{
				ID: s.id, Name: s.name, State: "Enabled", User: account,
				TenantID: s.tenant, HomeTenantID: s.tenant,
				EnvironmentName: a.cloud, ManagedBy: []string{},
			})
		}
	}
	if len(accessible) == 0 {
		return cliErrorf("ERROR: No subscriptions found for %s.", user)
	}
	return a.mergeSubscriptions(accessible)
}

// mergeSubscriptions adds the subscriptions of a new login. Its first one becomes the current
// subscription, unless the login has access to the current one.
func (a *az) mergeSubscriptions(added []azSubscription) error {
	index := func(list []azSubscription, id string) int {
		return slices.IndexFunc(list, func(s azSubscription) bool { return s.ID == id })
	}
	current := added[0].ID
	for i, s := range a.profile.Subscriptions {
		if s.IsDefault && index(added, s.ID) >= 0 {
			current = s.ID
		}
		a.profile.Subscriptions[i].IsDefault = false
	}
	for _, s := range added {
		s.IsDefault = s.ID == current
		if i := index(a.profile.Subscriptions, s.ID); i >= 0 {
			a.profile.Subscriptions[i] = s
			continue
		}
		a.profile.Subscriptions = append(a.profile.Subscriptions, s)
	}
	return a.saveCurrent(current)
}

// saveCurrent saves the profile, and the current subscription's ID in clouds.config.
func (a *az) saveCurrent(id string) error {
	clouds := "[" + a.cloud + "]\nsubscription = " + id + "\n\n"
	if err := os.WriteFile(a.file("clouds.config"), []byte(clouds), 0o600); err != nil {
		return err
	}
	return a.save()
}

// findSubscription returns the subscription with an ID or name, or the current one for "".
func (a *az) findSubscription(idOrName string) (*azSubscription, error) {
	var inCloud []*azSubscription
	for i, s := range a.profile.Subscriptions {
		if s.EnvironmentName == a.cloud {
			inCloud = append(inCloud, &a.profile.Subscriptions[i])
		}
	}
	if len(inCloud) == 0 {
		return nil, cliErrorf("ERROR: Please run 'az login' to setup account.")
	}
	for _, s := range inCloud {
		matches := strings.EqualFold(s.ID, idOrName) || strings.EqualFold(s.Name, idOrName)
		if idOrName == "" && s.IsDefault || idOrName != "" && matches {
			return s, nil
		}
	}
	if idOrName != "" {
		return nil, cliErrorf("ERROR: Subscription '%s' not found. "+
			"Check the spelling and casing and try again.", idOrName)
	}
	return nil, cliErrorf("ERROR: No subscription found. " +
		"Run 'az account set' to select a subscription.")
}

func (a *az) setSubscription() error {
	s, err := a.findSubscription(a.flags["--subscription"])
	if err != nil {
		return cliErrorf("ERROR: The subscription of '%s' doesn't exist in cloud '%s'.",
			a.flags["--subscription"], a.cloud)
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
	a.profile.Subscriptions = slices.DeleteFunc(a.profile.Subscriptions,
		func(s azSubscription) bool { return strings.EqualFold(s.User.Name, user) })
	if err := a.save(); err != nil {
		return err
	}
	if entries := a.principals(); len(entries) > 0 {
		entries = slices.DeleteFunc(entries,
			func(e map[string]string) bool { return e["client_id"] == user })
		if err := a.savePrincipals(entries); err != nil {
			return err
		}
	}
	return updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		if home, ok := c.account(user); ok {
			c.removeAccount(home)
		}
		maps.DeleteFunc(c.AccessToken,
			func(_ string, e map[string]string) bool { return e["client_id"] == user })
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
	tenant, subscription := a.flags["--tenant"], a.flags["--subscription"]
	if tenant != "" && subscription != "" {
		return cliErrorf("ERROR: Please specify only one of subscription and tenant, not both")
	}
	s, err := a.findSubscription(subscription)
	if err != nil {
		return err
	}
	if s.User.AssignedIdentityInfo != "" {
		if tenant != "" {
			return cliErrorf("ERROR: Tenant shouldn't be specified for managed identity account")
		}
		return a.identityToken(s)
	}
	if tenant == "" {
		tenant = s.TenantID
	}
	scope := a.flags["--resource"] + "/.default"
	if a.flags["--resource"] == "" {
		scope = managementScope
	}
	var token string
	var expires int64
	err = updateMSALCache(a.tokenCachePath(), func(c *msalCache) (err error) {
		if s.User.Type == "servicePrincipal" {
			token, expires, err = a.principalToken(c, s.User.Name, tenant, scope)
			return err
		}
		home, ok := c.account(s.User.Name)
		if !ok {
			return cliErrorf("User '%s' does not exist in MSAL token cache. Run `az login`.",
				s.User.Name)
		}
		token, expires, err = c.acquireSilently(home, s.User.Name, tenant, scope)
		if err != nil {
			return cliErrorf("%v\nInteractive authentication is needed. Please run:\n"+
				"az logout\naz login --tenant \"%s\" --scope \"%s\"", err, tenant, scope)
		}
		return nil
	})
	if err != nil {
		return cliErrorf("ERROR: %v", err)
	}
	output := map[string]any{
		"accessToken": token,
		"expiresOn":   time.Unix(expires, 0).Format("2006-01-02 15:04:05.000000"),
		"tenant":      tenant,
		"tokenType":   "Bearer",
	}
	if a.flags["--tenant"] == "" {
		output["subscription"] = s.ID
	}
	if os.Getenv("FAKE_OLD") == "" {
		output["expires_on"] = expires
	}
	return printJSON(output)
}
