package entratest_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/golang-jwt/jwt/v5"
)

// A recordedExchange is a request to a real service with its response.
type recordedExchange struct {
	Method, URL string
	RequestBody string `json:"request_body"`
	recordedResponse
}

const (
	recordedTenant = "00000000-0000-0000-0000-000000000000"
	recordedUser   = "user@example.com"
	imdsAddress    = "http://169.254.169.254"
)

// A recording says what the requests of a recording were sent to, and what is masked in them.
type recording struct {
	public    bool // the client is public
	federated bool // another identity provider checks the user's password
	assertion func(*testing.T, *entratest.Server) string
}

// recordings are the known recordings by name.
var recordings = map[string]recording{
	"AcquirePoPTokenByUsernamePasswordFromBadPasswordVCR": {public: true, federated: true},
	"AcquirePoPTokenByUsernamePasswordVCR":                {public: true, federated: true},
	"AcquirePoPTokenConfidentialFromBadSecretVCR":         {},
	"AcquirePoPTokenConfidentialWithSecretVCR":            {},
	"client_cert_credential":                              {assertion: certificateAssertion},
	"client_secret_credential":                            {},
	"device_code_credential":                              {public: true},
	"managedidentity_credential":                          {},
	"usernamepassword_credential":                         {public: true},
	"workloadidentity_credential":                         {assertion: federatedAssertion},
}

// notCompared has the recorded exchanges that are not compared, as "RECORDING/INDEX", and why.
var notCompared = map[string]string{
	"AcquirePoPTokenByUsernamePasswordFromBadPasswordVCR/2": federationServer,
	"AcquirePoPTokenByUsernamePasswordFromBadPasswordVCR/3": federationServer,
	"AcquirePoPTokenByUsernamePasswordVCR/2":                federationServer,
	"AcquirePoPTokenByUsernamePasswordVCR/3":                federationServer,
	"AcquirePoPTokenByUsernamePasswordVCR/4": "The request redeems the federation server's SAML " +
		"assertion. The emulator reports that grant as unexpected, and the recorder wrote the body.",
}

const federationServer = "The host is the federation server (AD FS) of one organization. The " +
	"emulator has none: akslogin refuses users of federated domains before it sends a password."

// wantedDifferences are the differences that stay. exchanges is a [path.Match] pattern of
// "RECORDING/INDEX".
var wantedDifferences = []struct {
	exchanges string
	difference
	reason string
}{
	{
		"AcquirePoP*/*", difference{"header X-Ms-Srs", absent, "1.P"},
		"Entra ID did not send it yet in 2023 and 2024. The recordings of 2025 have it.",
	},
	{
		"AcquirePoPTokenByUsernamePassword*/1",
		difference{"header Client-Request-Id", absent, "the identifier of 1, header Client-Request-Id"},
		"At this endpoint Entra ID did not send it yet in 2024. The recording of 2025 has it.",
	},
	{
		"AcquirePoPTokenConfidentialWithSecretVCR/2", difference{"body.token_type", "Bearer", "pop"},
		"The recorder wrote the body, whatever the response was.",
	},
	{
		"AcquirePoPTokenConfidentialFromBadSecretVCR/2",
		difference{
			"body.error_description",
			invalidSecret + "''[REDACTED]''.\r\nTrace ID: [REDACTED]\r\nCorrelation ID: [REDACTED]\r\n" +
				"Timestamp: {timestamp}",
			invalidSecret + "'" + clientID + "'. Trace ID: {trace_id} " +
				"Correlation ID: {correlation_id} Timestamp: {timestamp}",
		},
		"The recorder wrote the body. The errors of 2025 have spaces in place of the line breaks.",
	},
}

const invalidSecret = "AADSTS7000215: Invalid client secret provided. Ensure the secret being " +
	"sent in the request is the client secret value, not the client secret ID, for a secret added " +
	"to app "

// recordedFile returns the path of the recorded responses, which are not part of the repository. It
// is AKSLOGIN_TEST_RECORDED, or shared/recorded/entra-and-imds.json in a directory above the
// repository.
func recordedFile(t *testing.T) string {
	t.Helper()
	if file := os.Getenv("AKSLOGIN_TEST_RECORDED"); file != "" {
		return file
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	inRepository := true
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		if inRepository {
			_, err := os.Stat(filepath.Join(dir, "go.mod"))
			inRepository = err != nil
			continue
		}
		file := filepath.Join(dir, "shared", "recorded", "entra-and-imds.json")
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	t.Skip("no shared/recorded/entra-and-imds.json above the repository, and no " +
		"AKSLOGIN_TEST_RECORDED")
	return ""
}

// The emulator answers the requests of the recordings as the real services did.
func TestRecordedResponses(t *testing.T) {
	raw, err := os.ReadFile(recordedFile(t))
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string][]recordedExchange
	decodeJSON(t, string(raw), &recorded)
	unused := map[string]bool{}
	for id := range notCompared {
		unused[id] = true
	}
	for _, wanted := range wantedDifferences {
		unused[wanted.exchanges+" "+wanted.where] = true
	}
	for name := range recordings {
		if recorded[name] == nil {
			t.Errorf("%s is not in the file", name)
		}
	}
	ran := 0
	for name, exchanges := range recorded {
		t.Run(name, func(t *testing.T) {
			ran++
			compareRecording(t, name, exchanges, unused)
		})
	}
	if ran < len(recorded) {
		return // go test -run chose some
	}
	for _, id := range slices.Sorted(maps.Keys(unused)) {
		t.Errorf("the exception for %s is not needed", id)
	}
}

// compareRecording sends the requests of a recording to an emulator of its own, and compares the
// responses. It removes the exceptions that it needs from unused.
func compareRecording(
	t *testing.T, name string, exchanges []recordedExchange, unused map[string]bool,
) {
	how, known := recordings[name]
	if !known {
		t.Fatal("a new recording: add it to recordings")
	}
	r, c := newReplay(t, how), newComparison()
	for i, e := range exchanges {
		id := fmt.Sprintf("%s/%d", name, i)
		if _, ok := notCompared[id]; ok {
			delete(unused, id)
			c.exchange++
			continue
		}
		for _, d := range c.compare(e.recordedResponse, r.send(t, e)) {
			if exception := wantedDifference(id, d); exception != "" {
				delete(unused, exception)
				continue
			}
			t.Errorf("%d, %s %s: %s", i, e.Method, e.URL, d)
		}
	}
}

// wantedDifference returns the exception for a difference, or "" if there is none.
func wantedDifference(id string, d difference) string {
	for _, wanted := range wantedDifferences {
		if ok, _ := path.Match(wanted.exchanges, id); ok && wanted.difference == d {
			return wanted.exchanges + " " + wanted.where
		}
	}
	return ""
}

// A replay sends the requests of a recording to an emulator.
type replay struct {
	server *entratest.Server
	client *http.Client
	form   url.Values // in place of masked values
	sent   int
}

// newReplay starts an emulator that has what the recorded requests name.
func newReplay(t *testing.T, how recording) *replay {
	s := entratest.New(t)
	certificate, key := entratest.ClientCertificate("a client")
	s.Register(entratest.App{
		Tenant: recordedTenant, ClientID: clientID, Secrets: []string{"a secret"},
		Certificates:         []*x509.Certificate{certificate},
		FederatedCredentials: []entratest.FederatedCredential{{Issuer: s.Issuer, Subject: subject}},
	})
	s.RegisterResource(recordedTenant, "6256c85f-0aad-4d50-b960-e6e9b21efe35")
	s.RegisterUser(entratest.User{
		Tenant: recordedTenant, Name: recordedUser, Password: alicePassword, MFA: true,
	})
	identity := entratest.App{Tenant: recordedTenant, ClientID: "49a6a7eb-d4f9-444a-a216-7b966e31bb05"}
	s.AssignIdentity(entratest.ManagedIdentity{App: identity})
	if how.federated {
		s.SetUserRealm("example.com", "https://msft.sts.microsoft.com/adfs/services/trust/mex")
	}
	cnf := popScheme{key: key}.TokenRequestParams()["req_cnf"]
	r := &replay{server: s, client: proxyClient(t, s), form: url.Values{
		"client_id":     {clientID},
		"client_secret": {"a secret"},
		"password":      {alicePassword},
		"req_cnf":       {cnf},
	}}
	if how.public {
		r.form.Set("client_id", aksClient)
	}
	if how.assertion != nil {
		r.form.Set("client_assertion", how.assertion(t, s))
	}
	return r
}

func federatedAssertion(_ *testing.T, s *entratest.Server) string {
	return s.Assertion(entratest.Claims{Subject: subject})
}

func certificateAssertion(t *testing.T, _ *entratest.Server) string {
	certificate, key := entratest.ClientCertificate("a client")
	token := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{
		"iss": clientID, "sub": clientID, "aud": endpointURL(publicCloud, recordedTenant, "token"),
		"exp": time.Now().Add(time.Minute).Unix(), "jti": "one",
	})
	token.Header["x5t#S256"] = sha256Thumbprint(certificate)
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// send sends the request of an exchange and returns the emulator's response. The user approves a
// device code after the first poll.
func (r *replay) send(t *testing.T, e recordedExchange) recordedResponse {
	t.Helper()
	req := r.request(t, e)
	client := r.client
	if req.URL.Scheme == "http" {
		client = http.DefaultClient // IMDS is not behind the proxy
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := recordedResponse{
		Status: resp.StatusCode, Headers: map[string]string{}, Body: string(body),
	}
	for name, values := range resp.Header {
		got.Headers[name] = strings.Join(values, ", ")
	}
	var device struct {
		DeviceCode string `json:"device_code"`
		Error      string
	}
	decodeJSON(t, got.Body, &device)
	if device.DeviceCode != "" {
		r.form.Set("device_code", device.DeviceCode)
	}
	if device.Error == "authorization_pending" {
		for _, code := range r.server.PendingUserCodes() {
			if err := r.server.ApproveDevice(code, recordedUser); err != nil {
				t.Error(err)
			}
		}
	}
	return got
}

// request returns the request of an exchange, with the headers that the recordings leave out.
func (r *replay) request(t *testing.T, e recordedExchange) *http.Request {
	t.Helper()
	form, err := url.ParseQuery(e.RequestBody)
	if err != nil {
		t.Fatal(err)
	}
	for name := range form {
		if form.Get(name) == masked {
			form.Set(name, r.form.Get(name))
		}
	}
	// The URL of a user's realm is masked, in two ways.
	rawURL := strings.Replace(e.URL, "/USERNAME?", "/"+recordedUser+"?", 1)
	imds := strings.HasPrefix(rawURL, imdsAddress)
	rawURL = strings.Replace(rawURL, imdsAddress, r.server.IMDSURL, 1)
	req, err := http.NewRequest(e.Method, rawURL, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if imds {
		req.Host = strings.TrimPrefix(imdsAddress, "http://")
		req.Header.Set("Metadata", "true")
		return req
	}
	r.sent++
	req.Header.Set("client-request-id", fmt.Sprintf("8afe3606-ea18-4ef4-bbd0-%012d", r.sent))
	if e.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	return req
}
