package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cliClient is the client ID of the Azure CLI, which azd uses too.
const cliClient = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

// entraAnswer is an answer of the token endpoint.
type entraAnswer struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	ClientInfo   string `json:"client_info"`
	Description  string `json:"error_description"`
}

// askEntra sends a grant. What Entra refuses is its error's text.
func askEntra(tenant, clientID, scope string, grant url.Values) (a entraAnswer, err error) {
	form := url.Values{"client_id": {clientID}, "scope": {scope}}
	maps.Copy(form, grant)
	resp, err := http.PostForm("https://login.microsoftonline.com/"+tenant+"/oauth2/v2.0/token", form)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a, err
	}
	if a.Description != "" {
		return a, cliErrorf("%s", a.Description)
	}
	return a, nil
}

// personalScopes are the scopes that MSAL adds for a person.
const personalScopes = " openid profile offline_access"

// An msalCache is the cache file of an MSAL library: Python's in az, Go's in azd, in one format.
type msalCache struct {
	path string
	AccessToken,
	Account,
	IdToken,
	RefreshToken,
	AppMetadata map[string]map[string]string
}

// updateMSALCache changes a cache under its lock. A missing file is an empty one.
func updateMSALCache(path string, change func(*msalCache) error) error {
	lock, err := os.OpenFile(path+".lockfile", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	c := msalCache{path: path}
	before, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(before, &c)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, part := range []*map[string]map[string]string{&c.AccessToken, &c.Account, &c.IdToken, &c.RefreshToken, &c.AppMetadata} {
		if *part == nil {
			*part = map[string]map[string]string{}
		}
	}
	if err := change(&c); err != nil {
		return err
	}
	after, err := json.MarshalIndent(c, "", "    ")
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	return os.WriteFile(path, after, 0o600)
}

const entraHost = "login.microsoftonline.com"

// storeAccount stores an answer for a person; it returns the account's ID.
func (c *msalCache) storeAccount(a entraAnswer, user, tenant, scope string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(a.ClientInfo)
	var info struct{ UID, UTID string }
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err != nil {
		return "", fmt.Errorf("client_info %q: %w", a.ClientInfo, err)
	}
	home := info.UID + "." + info.UTID
	if tenant == "organizations" {
		tenant = info.UTID
	}
	common := map[string]string{"home_account_id": home, "environment": entraHost, "client_id": cliClient}
	entry := func(more map[string]string) map[string]string {
		e := maps.Clone(common)
		maps.Copy(e, more)
		return e
	}
	c.Account[home+"-"+entraHost+"-"+tenant] = map[string]string{
		"home_account_id": home, "environment": entraHost, "realm": tenant, "local_account_id": info.UID, "username": user, "authority_type": "MSSTS",
	}
	c.AppMetadata["appmetadata-"+entraHost+"-"+cliClient] = map[string]string{"client_id": cliClient, "environment": entraHost, "family_id": "1"}
	if a.RefreshToken != "" {
		c.RefreshToken[home+"-"+entraHost+"-refreshtoken-"+cliClient+"--"] = entry(map[string]string{"credential_type": "RefreshToken", "secret": a.RefreshToken, "family_id": "1"})
	}
	if a.IDToken != "" {
		c.IdToken[home+"-"+entraHost+"-idtoken-"+cliClient+"-"+tenant+"-"] = entry(map[string]string{"credential_type": "IdToken", "secret": a.IDToken, "realm": tenant})
	}
	c.storeAccessToken(a, home, cliClient, tenant, scope)
	return home, nil
}

func (c *msalCache) storeAccessToken(a entraAnswer, home, clientID, tenant, scope string) {
	c.AccessToken[accessKey(home, clientID, tenant, scope)] = map[string]string{
		"credential_type": "AccessToken", "secret": a.AccessToken, "home_account_id": home, "environment": entraHost, "client_id": clientID,
		"realm": tenant, "target": scope, "token_type": "Bearer",
		"cached_at": strconv.FormatInt(time.Now().Unix(), 10), "expires_on": strconv.FormatInt(time.Now().Unix()+a.ExpiresIn, 10),
	}
}

func accessKey(home, clientID, tenant, scope string) string {
	return strings.ToLower(strings.Join([]string{home, entraHost, "accesstoken", clientID, tenant, scope}, "-"))
}

// accessToken is a cached access token that lives for five minutes more, as MSAL wants it.
func (c *msalCache) accessToken(home, clientID, tenant, scope string) (token string, expires int64, ok bool) {
	e := c.AccessToken[accessKey(home, clientID, tenant, scope)]
	expires, err := strconv.ParseInt(e["expires_on"], 10, 64)
	return e["secret"], expires, err == nil && expires > testOptions().now().Unix()+300
}

// acquireSilently is an access token for a person who has signed in, from the cache or for the
// refresh token.
func (c *msalCache) acquireSilently(home, user, tenant, scope string) (token string, expires int64, err error) {
	if token, expires, ok := c.accessToken(home, cliClient, tenant, scope); ok {
		return token, expires, nil
	}
	refresh := c.RefreshToken[home+"-"+entraHost+"-refreshtoken-"+cliClient+"--"]["secret"]
	if refresh == "" {
		return "", 0, errors.New("no refresh token")
	}
	a, err := askEntra(tenant, cliClient, scope+personalScopes, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_info": {"1"}})
	if err != nil {
		return "", 0, err
	}
	if _, err := c.storeAccount(a, user, tenant, scope); err != nil {
		return "", 0, err
	}
	return a.AccessToken, time.Now().Unix() + a.ExpiresIn, nil
}

// removeAccount removes everything of an account.
func (c *msalCache) removeAccount(home string) {
	for _, part := range []map[string]map[string]string{c.AccessToken, c.Account, c.IdToken, c.RefreshToken} {
		maps.DeleteFunc(part, func(_ string, e map[string]string) bool { return e["home_account_id"] == home })
	}
}

// account finds who signed in under a name.
func (c *msalCache) account(user string) (home string, ok bool) {
	for _, e := range c.Account {
		if strings.EqualFold(e["username"], user) {
			return e["home_account_id"], true
		}
	}
	return "", false
}
