package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// azd is a run of the fake Azure Developer CLI. Its errors are JSON, which is the output format
// that azidentity asks for.
type azd struct {
	folder string
	flags  map[string]string
}

func runAzd(args []string) error {
	words, flags, err := splitArguments(args, map[string]string{"-o": "--output"}, "--no-prompt")
	if err != nil {
		return err
	}
	a := azd{flags: flags}
	if a.folder, err = configFolder("AZD_CONFIG_DIR", ".azd"); err == nil {
		err = os.MkdirAll(filepath.Join(a.folder, "auth", "msal"), 0o700)
	}
	if err != nil {
		return err
	}
	name := strings.Join(words, " ")
	command := map[string]func() error{
		"auth login": a.login, "auth logout": a.logout, "auth token": a.token,
	}[name]
	if len(words) == 4 && words[0] == "config" && words[1] == "set" {
		command = func() error { return a.configure(words[2], words[3]) }
	}
	if command == nil {
		return cliErrorf("ERROR: unknown command %q for \"azd\"", name)
	}
	if err = command(); err != nil {
		raw, jsonErr := json.Marshal(map[string]string{
			"error": err.Error(), "message": err.Error(), "suggestion": "",
		})
		if jsonErr != nil {
			return jsonErr
		}
		const emptyMessage = `{"type":"consoleMessage","timestamp":"2026-01-01T00:00:00Z",` +
			`"data":{"message":"\n"}}`
		return errors.New(emptyMessage + "\n" + string(raw))
	}
	return nil
}

func (a *azd) tokenCachePath() string {
	return filepath.Join(a.folder, "auth", "msal", "cache.json")
}

func (a *azd) secretPath(tenant, clientID string) string {
	return filepath.Join(a.folder, "auth", "cred"+tenant+"."+clientID+".json")
}

// azdUser is who is signed in: a user's account, or an application.
type azdUser struct {
	HomeAccountID string `json:"homeAccountId,omitempty"`
	ClientID      string `json:"clientId,omitempty"`
	TenantID      string `json:"tenantId,omitempty"`
}

// azdAuth is auth.json.
type azdAuth struct {
	Auth struct {
		Account struct {
			CurrentUser *azdUser `json:"currentUser,omitempty"`
		} `json:"account"`
	} `json:"auth"`
}

func (a *azd) saveUser(u *azdUser) error {
	var auth azdAuth
	auth.Auth.Account.CurrentUser = u
	return writeJSONFile(filepath.Join(a.folder, "auth.json"), auth)
}

func (a *azd) configure(key, value string) error {
	var nested any = value
	parts := strings.Split(key, ".")
	for _, part := range slices.Backward(parts) {
		nested = map[string]any{part: nested}
	}
	return writeJSONFile(filepath.Join(a.folder, "config.json"), nested)
}

// delegatesToAz reports whether azd is configured to use az's login.
func (a *azd) delegatesToAz() bool {
	var config struct {
		Auth struct{ UseAzCliAuth string }
	}
	raw, err := os.ReadFile(filepath.Join(a.folder, "config.json"))
	if err != nil || json.Unmarshal(raw, &config) != nil {
		return false
	}
	yes, _ := strconv.ParseBool(config.Auth.UseAzCliAuth)
	return yes
}

func (a *azd) login() error {
	home := a.flags["--tenant-id"]
	if clientID, secret := a.flags["--client-id"], a.flags["--client-secret"]; clientID != "" {
		_, err := requestToken(home, clientID, managementScope, url.Values{
			"grant_type": {"client_credentials"}, "client_secret": {secret},
		})
		if err != nil {
			return err
		}
		stored := map[string]string{"clientSecret": secret}
		if err := writeJSONFile(a.secretPath(home, clientID), stored); err != nil {
			return err
		}
		return a.saveUser(&azdUser{ClientID: clientID, TenantID: home})
	}
	if home == "" {
		home = "organizations"
	}
	return updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		user, password := a.flags["--username"], a.flags["--password"]
		response, err := requestToken(home, cliClient, managementScope+userScopes, url.Values{
			"grant_type": {"password"}, "client_info": {"1"},
			"username": {user}, "password": {password},
		})
		if err != nil {
			return err
		}
		account, err := c.storeAccount(response, user, home, managementScope)
		if err != nil {
			return err
		}
		return a.saveUser(&azdUser{HomeAccountID: account})
	})
}

// user returns the user or application that is signed in.
func (a *azd) user() (*azdUser, error) {
	var auth azdAuth
	raw, err := os.ReadFile(filepath.Join(a.folder, "auth.json"))
	if err == nil {
		err = json.Unmarshal(raw, &auth)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if auth.Auth.Account.CurrentUser == nil {
		return nil, errors.New("not logged in, run `azd auth login` to login")
	}
	return auth.Auth.Account.CurrentUser, nil
}

func (a *azd) logout() error {
	u, err := a.user()
	if err != nil {
		return nil // nobody is signed in
	}
	if u.ClientID != "" {
		err := writeJSONFile(a.secretPath(u.TenantID, u.ClientID), map[string]string{})
		if err != nil {
			return err
		}
	}
	err = updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		c.removeAccount(u.HomeAccountID)
		return nil
	})
	if err != nil {
		return err
	}
	return a.saveUser(nil)
}

func (a *azd) token() error {
	tenant, scope := a.flags["--tenant-id"], a.flags["--scope"]
	if a.delegatesToAz() {
		return a.tokenFromAz(tenant, scope)
	}
	u, err := a.user()
	if err != nil {
		return err
	}
	if u.ClientID != "" {
		return a.principalToken(u, tenant, scope)
	}
	var token string
	var expires int64
	err = updateMSALCache(a.tokenCachePath(), func(c *msalCache) (err error) {
		if tenant == "" {
			_, tenant, _ = strings.Cut(u.HomeAccountID, ".")
		}
		name := ""
		for _, e := range c.Account {
			if e["home_account_id"] == u.HomeAccountID {
				name = e["username"]
			}
		}
		if name == "" {
			return errors.New("not logged in, run `azd auth login` to login")
		}
		token, expires, err = c.acquireSilently(u.HomeAccountID, name, tenant, scope)
		return err
	})
	if err != nil {
		return fmt.Errorf("fetching token: %w", err)
	}
	return printAzdToken(token, expires)
}

// principalToken prints a token for an application that is signed in.
func (a *azd) principalToken(u *azdUser, tenant, scope string) error {
	var stored map[string]string
	raw, err := os.ReadFile(a.secretPath(u.TenantID, u.ClientID))
	if err == nil {
		err = json.Unmarshal(raw, &stored)
	}
	if err != nil {
		return fmt.Errorf("loading secret: %w: not logged in, run `azd auth login` to login", err)
	}
	response, err := requestToken(cmp.Or(tenant, u.TenantID), u.ClientID, scope, url.Values{
		"grant_type": {"client_credentials"}, "client_secret": {stored["clientSecret"]},
	})
	if err != nil {
		return fmt.Errorf("fetching token: %w", err)
	}
	return printAzdToken(response.AccessToken, time.Now().Unix()+response.ExpiresIn)
}

// tokenFromAz prints a token from az, which it runs as azidentity does.
func (a *azd) tokenFromAz(tenant, scope string) error {
	resource := strings.TrimSuffix(scope, "/.default")
	command := "az account get-access-token -o json --resource " + resource
	if tenant != "" {
		command += " --tenant " + tenant
	}
	var stderr bytes.Buffer
	az := exec.Command("/bin/sh", "-c", command)
	az.Stderr = &stderr
	out, err := az.Output()
	if err != nil {
		return fmt.Errorf("fetching token: AzureCLICredential: %s",
			strings.TrimSpace(stderr.String()))
	}
	var response struct {
		AccessToken string `json:"accessToken"`
		ExpiresOn   int64  `json:"expires_on"`
	}
	if err := json.Unmarshal(out, &response); err != nil {
		return err
	}
	return printAzdToken(response.AccessToken, response.ExpiresOn)
}

func printAzdToken(token string, expires int64) error {
	expiresOn := time.Unix(expires, 0).UTC().Format(time.RFC3339)
	return printJSON(map[string]string{"token": token, "expiresOn": expiresOn})
}
