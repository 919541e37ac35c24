package entratest

import (
	"encoding/base64"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A grant is a grant type of the token endpoint. The function grants has all of them by name.
type grant struct {
	parameters    []string // known form parameters, grant_type included
	sharedTenants bool     // it is available at "common" and "organizations" too
	check         check
}

// A check validates a request as Entra does, and fills in what it finds out: the tenant, app, user
// or resource. It returns the AADSTS code of Entra's error, or 0.
type check = func(*Server, *tokenRequest) int

// checks are run in order, up to the first that does not return 0.
type checks []check

func (c checks) run(s *Server, t *tokenRequest) int {
	for _, check := range c {
		if code := check(s, t); code != 0 {
			return code
		}
	}
	return 0
}

// tenantCheck returns a check that fills in the tenant. "common" and "organizations" are valid if
// shared is true. They stand for the user's own tenant, while an app-only token needs a tenant.
func tenantCheck(shared bool) check {
	return func(s *Server, t *tokenRequest) int {
		switch {
		case shared && isSharedTenant(t.requestedTenant):
			return 0
		case isSharedTenant(t.requestedTenant), t.requestedTenant == "consumers":
			return 50059
		}
		id, name, ok := s.findTenant(t.requestedTenant)
		if !ok {
			return 90002
		}
		t.tenant = id
		t.placeholders["tenant"] = name
		return 0
	}
}

// popParameters request a proof-of-possession token, which is bound to a key.
var popParameters = []string{"req_cnf", "token_type"}

// checkPublicClient fills in the app, which must be a public client.
func checkPublicClient(s *Server, t *tokenRequest) int {
	clientID := t.form.Get("client_id")
	if clientID == "" {
		t.placeholders["parameter"] = "client_id"
		return 900144
	}
	ok, multiTenant := false, true
	if t.tenant == "" {
		t.app, multiTenant, ok = s.findSharedApp(clientID)
	} else {
		t.app, ok = s.findApp(t.tenant, clientID)
	}
	switch {
	case !ok:
		return 700016
	case !multiTenant:
		return 50194
	case !t.app.Public:
		return 7000218
	}
	return 0
}

// checkDelegatedScope checks the scope of a user's request. It fills in the resource if the tenant
// is known.
func checkDelegatedScope(s *Server, t *tokenRequest) int {
	if t.form.Get("scope") == "" {
		t.placeholders["parameter"] = "scope"
		return 900144
	}
	resource := ""
	for _, scope := range resourceScopes(t.form.Get("scope")) {
		scopeResource, permission, _ := cutLast(scope, "/")
		known := permission == ".default" || permission == "user_impersonation"
		if !known || resource != "" && scopeResource != resource {
			t.placeholders["scope"] = t.form.Get("scope")
			return 70011
		}
		resource = scopeResource
	}
	if resource == "" {
		t.placeholders["scope"] = t.form.Get("scope")
		return 70011
	}
	if t.tenant == "" {
		return 0
	}
	var ok bool
	if t.resource, ok = s.findResource(t.tenant, resource); !ok {
		return 500011
	}
	return 0
}

// setUser fills in the user, and the user's tenant if the endpoint is a shared one.
func (s *Server) setUser(t *tokenRequest, name string) int {
	u, ok := s.findUser(name)
	switch {
	case !ok:
		return 50034
	case t.tenant != "" && t.tenant != u.Tenant:
		t.placeholders["home"] = u.Tenant
		return 50020
	}
	t.tenant, t.user = u.Tenant, &u
	_, t.placeholders["tenant"], _ = s.findTenant(u.Tenant)
	return u.AADSTS
}

// setUserByPassword is [Server.setUser] after a check of the password.
func (s *Server) setUserByPassword(t *tokenRequest, name, password string) int {
	u, ok := s.findUser(name)
	if ok && u.Password != password {
		return 50126
	}
	return s.setUser(t, name)
}

// verifySignature verifies the signature of the request's assertion.
func verifySignature(t *tokenRequest, method jwt.SigningMethod, key any) int {
	signed, signature, _ := cutLast(t.assertion.raw, ".")
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err == nil {
		err = method.Verify(signed, sig, key)
	}
	if err != nil {
		t.placeholders["reason"] = "The provided signature value did not match the expected " +
			"signature value."
		return 700027
	}
	return 0
}

// checkValidNow has no leeway for clock skew, since client and server share a clock here.
func checkValidNow(_ *Server, t *tokenRequest) int {
	if now, a := time.Now(), t.assertion; now.Before(a.validFrom) || !now.Before(a.expires) {
		return 700024
	}
	return 0
}
