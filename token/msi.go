package token

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// managedIdentity asks the machine that it runs on (IMDS), or the service (App Service, Container Apps, Azure Arc and others).
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
var managedIdentity = Method{
	Name:  "msi",
	About: "the managed identity of a virtual machine or an Azure service",
	Uses:  []string{"client-id", "identity-resource-id", "server-id", "timeout"},
	Own:   []string{"client-id"},
	Hints: map[int]string{
		500011: "server ID {audience} is not known in the identity's tenant: leave --server-id out for AKS",
	},
	Presents: "a key of the user's own, for this machine only; on App Service and Azure ML, with the secret that the service wants",
	Remedy: "{identity} has to be assigned to this virtual machine or service (as by: az vm identity assign), and {asked} is reached from there only, never through a proxy; " +
		"a new assignment takes a minute. In a pod use workloadidentity",
	Stanza: Stanza{Writes: []string{"client-id", "identity-resource-id"}},
	Check: func(r Request) error {
		if r.IdentityResourceID != "" && !plain(r.IdentityResourceID, "/-._()") {
			return usage("--identity-resource-id is %q: it must be /subscriptions/.../userAssignedIdentities/NAME", r.IdentityResourceID)
		}
		return nil
	},
	Open: openManagedIdentity,
}

// metadataVariables say where a service other than IMDS is asked, by which MSAL chooses, and where IMDS is if it is elsewhere, which Azure's
// SDKs in other languages read; metadataSecrets are what such a service is shown, and metadataChoices what else decides who it is.
var (
	metadataVariables = []string{imdsVariable, "IMDS_ENDPOINT", "MSI_ENDPOINT", "IDENTITY_ENDPOINT"}
	metadataSecrets   = []string{"IDENTITY_HEADER", "MSI_SECRET"}
	metadataChoices   = []string{"DEFAULT_IDENTITY_CLIENT_ID", "IDENTITY_SERVER_THUMBPRINT"}
)

const (
	imdsVariable = "AZURE_POD_IDENTITY_AUTHORITY_HOST"
	imdsHost     = "169.254.169.254"

	systemAssigned = "the system-assigned identity"
)

// openManagedIdentity takes the client ID where both are given, as kubelogin does, unless the resource ID was written down and the client
// ID is just in the air.
func openManagedIdentity(r Request, w World, _ wire) (Login, error) {
	identity, id := systemAssigned, azidentity.ManagedIDKind(nil)
	switch {
	case r.IdentityResourceID != "" && (r.ClientID == "" || !r.written("client-id")):
		identity, id = "the identity with the resource ID "+r.IdentityResourceID, azidentity.ResourceID(r.IdentityResourceID)
	case r.ClientID != "":
		identity, id = "the identity with the client ID "+r.ClientID, azidentity.ClientID(r.ClientID)
	}
	// An image may have the key and the cache baked in: they are worth nothing on another machine.
	inputs := []string{"method=" + r.Login, "identity=" + identity, "audience=" + r.audience(), "machine=" + machine()}
	asked, secret := "http://"+imdsHost+"/", w.ownKey()
	for _, name := range slices.Concat(metadataVariables, metadataChoices) {
		if value := w.Getenv(name); value != "" {
			sum := sha256.Sum256([]byte(value)) // an address may have more in it than should be readable
			inputs = append(inputs, name+"="+hex.EncodeToString(sum[:8]))
			if slices.Contains(metadataVariables, name) {
				asked = address(value)
			}
		}
	}
	for _, name := range metadataSecrets {
		if value := w.Getenv(name); value != "" && secret != nil {
			secret = slices.Concat(secret, []byte("\x00"+name+"="+value))
		}
	}
	var imds *url.URL
	if elsewhere := w.Getenv(imdsVariable); elsewhere != "" {
		var err error
		if imds, err = url.Parse(elsewhere); err != nil || imds.Host == "" || imds.Scheme != "http" && imds.Scheme != "https" {
			return Login{}, usage("$%s is %q: it must be http://HOST", imdsVariable, address(elsewhere))
		}
	}
	return Login{
		Secret: secret,
		Inputs: inputs,
		Credential: func(a attempt) (azcore.TokenCredential, error) {
			return azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: metadataOptions(a.last, imds, a.wire.pace), ID: id})
		},
		Facts: func() map[string]string {
			return map[string]string{"identity": identity, "authority": asked}
		},
	}, nil
}

// metadataOptions are azcore's for a metadata service. IMDS may be away for 70 seconds while it is updated (410), and does not know an
// identity for a moment after it was assigned (404).
func metadataOptions(last *outcome, imds *url.URL, pace time.Duration) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: &http.Client{Transport: &metadata{last, imds, straight{metadataConnections()}}},
		Retry: policy.RetryOptions{
			MaxRetries: 6, RetryDelay: 4 * pace, MaxRetryDelay: 25 * time.Second, TryTimeout: tryTimeout,
			ShouldRetry: func(resp *http.Response, err error) bool {
				if err != nil {
					return !isFinal(err) && !isUnreachable(err)
				}
				return mayPass(resp.StatusCode) || resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone
			},
		},
	}
}

// metadataConnections never go through a proxy: it would answer with its own machine's identity, or not at all. Where nothing answers at the
// address this is no machine in Azure, and that is told soon.
func metadataConnections() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.DisableKeepAlives = nil, true
	t.DialContext = (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	return t
}

func isUnreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// metadata is the way to a metadata service. As for Entra ID, an answer is looked at before MSAL sees it, and how the last request ended is
// remembered.
type metadata struct {
	last *outcome
	imds *url.URL // where IMDS is; nil: where it is on every virtual machine
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (m *metadata) RoundTrip(req *http.Request) (*http.Response, error) {
	if m.imds != nil && req.URL.Host == imdsHost {
		req = req.Clone(req.Context())
		req.URL.Scheme, req.URL.Host, req.Host = m.imds.Scheme, m.imds.Host, m.imds.Host
	}
	*m.last = outcome{asked: req.URL.Scheme + "://" + req.URL.Host + "/"}
	resp, err := m.next.RoundTrip(req)
	var body []byte
	if err == nil {
		body, err = readAnswer(resp)
	}
	switch {
	case err != nil:
	case resp.StatusCode >= 400:
		m.last.refusal = refusalFrom(resp, body)
	default:
		if body, err = checkMetadata(body, time.Now()); err != nil {
			err = final("%w", err)
		}
	}
	if m.last.err = err; err != nil {
		return nil, err
	}
	plainRetryAfter(resp)
	return answer(req, resp, body), nil
}

// checkMetadata looks at a metadata service's token and returns what MSAL needs of it, and no more. Its errors do not repeat any of it.
func checkMetadata(body []byte, now time.Time) ([]byte, error) {
	var a map[string]json.RawMessage
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errors.New("the answer is no token: not the JSON that a metadata service sends")
	}
	life, err := seconds(a["expires_in"])
	if err != nil { // App Service has the end only
		var end int64
		if end, err = seconds(a["expires_on"]); err == nil {
			life = end - now.Unix()
		}
	}
	needed := map[string]any{"expires_in": life}
	// Azure Arc names the identity that it used, and MSAL compares that with the one that was wanted.
	for _, name := range []string{"access_token", "token_type", "resource", "client_id", "object_id", "msi_res_id", "mi_res_id"} {
		var value string
		if json.Unmarshal(a[name], &value) == nil {
			needed[name] = value
		}
	}
	token, _ := needed["access_token"].(string)
	switch {
	case !isBearer(token):
		return nil, errors.New("the answer has no access token, or one that cannot stand in a header")
	case err != nil:
		return nil, errors.New("the answer does not say in whole seconds how long its token lives")
	case life <= 0 || life > int64(maxLife/time.Second):
		return nil, errors.New("the answer has a token that is already expired, or lives impossibly long")
	}
	if refresh, err := seconds(a["refresh_in"]); err == nil && refresh > 0 && refresh < life {
		needed["refresh_in"] = refresh
	}
	return json.Marshal(needed)
}
