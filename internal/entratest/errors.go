package entratest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A refusal is one of Entra's errors. Placeholders in braces in its text are filled in from the
// request.
type refusal struct {
	oauthError string // the OAuth error code
	status     int
	text       string
	suberror   string // "" means none
}

const (
	docsFederation    = " https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
	docsCertificate   = " Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."
	adviceFederated   = " Check your federated identity credential Subject, Audience and Issuer against the presented assertion." + docsFederation
	adviceWrongTenant = " This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant."
	adviceNewSecret   = " Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."
	invalidScopeInput = "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid."
)

// refusals are the known errors by AADSTS code: those that the checks return, and others for
// [Server.FailNext].
var refusals = map[int]refusal{
	50005:   {oauthError: "invalid_grant", status: 400, text: "User tried to log in to a device from a platform (Linux) that's currently not supported through Conditional Access policy. Supported device platforms are: iOS, Android, Mac, and Windows flavors.", suberror: "message_only"},
	50011:   {oauthError: "invalid_request", status: 400, text: "The redirect URI '{redirect}' specified in the request does not match the redirect URIs configured for the application '{client}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more about how to fix this."},
	50020:   {oauthError: "invalid_grant", status: 400, text: "User account '{EmailHidden}' from identity provider 'https://sts.windows.net/{home}/' does not exist in tenant '{tenant}' and cannot access the application '{client}'({client}) in that tenant. The account needs to be added as an external user in the tenant first. Sign out and sign in again with a different Microsoft Entra user account."},
	50027:   {oauthError: "invalid_request", status: 400, text: "JWT token is invalid or malformed."},
	50034:   {oauthError: "invalid_grant", status: 400, text: "The user account {EmailHidden} does not exist in the {tenant} directory. To sign into this application, the account must be added to the directory."},
	50049:   {oauthError: "invalid_instance", status: 400, text: "Unknown or invalid instance."},
	50059:   {oauthError: "invalid_request", status: 400, text: "No tenant-identifying information found in either the request or implied by any provided credentials."},
	50053:   {oauthError: "invalid_grant", status: 400, text: "The account is locked, you've tried to sign in too many times with an incorrect user ID or password."},
	50055:   {oauthError: "invalid_grant", status: 400, text: "The password is expired.", suberror: "user_password_expired"},
	50057:   {oauthError: "invalid_grant", status: 400, text: "The user account is disabled."},
	50058:   {oauthError: "login_required", status: 400, text: "A silent sign-in request was sent but no user is signed in."},
	50076:   {oauthError: "invalid_grant", status: 400, text: "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '{resource}'.", suberror: "basic_action"},
	50079:   {oauthError: "invalid_grant", status: 400, text: "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access '{resource}'.", suberror: "basic_action"},
	50089:   {oauthError: "invalid_grant", status: 400, text: "Authentication failed due to flow token expired."},
	50126:   {oauthError: "invalid_grant", status: 400, text: "Error validating credentials due to invalid username or password."},
	50148:   {oauthError: "invalid_grant", status: 400, text: "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE."},
	50158:   {oauthError: "invalid_grant", status: 400, text: "External security challenge not satisfied. User will be redirected to another page or authentication provider to satisfy additional authentication challenges.", suberror: "basic_action"},
	50166:   {oauthError: "invalid_request", status: 400, text: "Request to External OIDC endpoint failed."},
	50173:   {oauthError: "invalid_grant", status: 400, text: "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password. The grant was issued on '{issued}' and the TokensValidFrom date (before which tokens are not valid) for this user is '{now}'."},
	50194:   {oauthError: "invalid_request", status: 400, text: "Application '{client}'({client}) is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant."},
	50199:   {oauthError: "interaction_required", status: 400, text: "For security reasons, user confirmation is required for this request. Please repeat the request allowing user interaction."},
	53000:   {oauthError: "invalid_grant", status: 400, text: "Device is not in required device state: {state}. Conditional Access policy requires a compliant device, and the device is not compliant. The user must enroll their device with an approved MDM provider like Intune.", suberror: "message_only"},
	53003:   {oauthError: "invalid_grant", status: 400, text: "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.", suberror: "message_only"},
	54005:   {oauthError: "invalid_grant", status: 400, text: "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."},
	65001:   {oauthError: "invalid_grant", status: 400, text: "The user or administrator has not consented to use the application with ID '{client}' named '{client}'. Send an interactive authorization request for this user and resource.", suberror: "consent_required"},
	65004:   {oauthError: "access_denied", status: 400, text: "User declined to consent to access the app."},
	70000:   {oauthError: "invalid_grant", status: 400, text: "Provided grant is invalid or malformed."},
	70003:   {oauthError: "unsupported_grant_type", status: 400, text: "The app requested an unsupported grant type '{grant}'."},
	70008:   {oauthError: "invalid_grant", status: 400, text: "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource."},
	70011:   {oauthError: "invalid_scope", status: 400, text: invalidScopeInput + " The scope {scope} is not valid."},
	70016:   {oauthError: "authorization_pending", status: 400, text: "OAuth 2.0 device flow error. Authorization is pending. Continue polling."},
	70018:   {oauthError: "bad_verification_code", status: 400, text: "Invalid verification code due to User typing in wrong user code for device code flow. Authorization is not approved."},
	70019:   {oauthError: "expired_token", status: 400, text: "Verification code expired. Have the user retry the sign-in."},
	70020:   {oauthError: "expired_token", status: 400, text: "The provided value for the input parameter 'device_code' is not valid. This device code has expired."},
	70021:   {oauthError: "invalid_request", status: 400, text: "No matching federated identity record found for presented assertion. Assertion Issuer: '{issuer}'. Assertion Subject: '{subject}'. Assertion Audience: '{audience}'." + docsFederation},
	70023:   {oauthError: "invalid_request", status: 400, text: "External OIDC Provider token must have a lifetime of less than or equal to 1.01:00:00. Token issued at {issuedAt}. Token expires on {expiresAt}."},
	70043:   {oauthError: "invalid_grant", status: 400, text: "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access. The token was issued on {issued} and the maximum allowed lifetime for this request is 43200.", suberror: "bad_token"},
	90002:   {oauthError: "invalid_request", status: 400, text: "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."},
	90014:   {oauthError: "invalid_request", status: 400, text: "The required field '{parameter}' is missing from the credential. Ensure that you have all the necessary parameters for the login request."},
	90023:   {oauthError: "invalid_request", status: 400, text: "Unsupported 'prompt' value."},
	90033:   {oauthError: "temporarily_unavailable", status: 503, text: "A transient error has occurred. Please try again."},
	90061:   {oauthError: "invalid_request", status: 400, text: "Request to External OIDC endpoint failed."},
	500011:  {oauthError: "invalid_resource", status: 400, text: "The resource principal named {resource} was not found in the tenant named {tenant}." + adviceWrongTenant + " You might have sent your authentication request to the wrong tenant."},
	500112:  {oauthError: "invalid_client", status: 401, text: "The reply address '{redirect}' does not match the reply address '{reply}' provided when requesting Authorization code."},
	501481:  {oauthError: "invalid_grant", status: 400, text: "The Code_Verifier does not match the code_challenge supplied in the authorization request."},
	501661:  {oauthError: "invalid_request", status: 400, text: "Request to External OIDC endpoint failed."},
	530003:  {oauthError: "invalid_grant", status: 400, text: "Your device is required to be managed to access this resource.", suberror: "message_only"},
	530084:  {oauthError: "invalid_grant", status: 400, text: "Access has been blocked by conditional access token protection policy configured by this organization. To learn more, see https://aka.ms/TBCADocs.", suberror: "message_only"},
	700003:  {oauthError: "invalid_grant", status: 400, text: "Device object was not found in the tenant '{tenant}' directory."},
	700016:  {oauthError: "unauthorized_client", status: 400, text: "Application with identifier '{client}' was not found in the directory '{tenant}'." + adviceWrongTenant + " You may have sent your authentication request to the wrong tenant."},
	700021:  {oauthError: "invalid_client", status: 401, text: "Client assertion application identifier doesn't match 'client_id' parameter." + docsCertificate},
	700023:  {oauthError: "invalid_client", status: 401, text: "Client assertion audience claim does not match Realm issuer." + docsCertificate},
	700024:  {oauthError: "invalid_client", status: 401, text: "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {validFrom}, expiry time of assertion {expiry}." + docsCertificate},
	700025:  {oauthError: "invalid_client", status: 401, text: "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."},
	700027:  {oauthError: "invalid_client", status: 401, text: "{signature} [Reason - {reason}, Thumbprint of key used by client: '{key}'{keys}]."},
	700082:  {oauthError: "invalid_grant", status: 400, text: "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for 90.00:00:00."},
	700084:  {oauthError: "invalid_grant", status: 400, text: "The refresh token was issued to a single page app (SPA), and therefore has a fixed, limited lifetime of 1.00:00:00, which cannot be extended. It is now expired and a new sign in request must be sent by the SPA to the sign in page. The token was issued on {issued}."},
	700226:  {oauthError: "invalid_client", status: 401, text: "Only MSI tokens may be used as Federated Identity Credentials for AAD issuer."},
	700231:  {oauthError: "invalid_client", status: 401, text: "Token obtained using another federated identity credential may not be used as federated identity credential."},
	700236:  {oauthError: "invalid_client", status: 401, text: "Entra ID tokens issued by issuer '{issuer}' may not be used for federated identity credential flows for applications or managed identities registered in this tenant."},
	700211:  {oauthError: "invalid_client", status: 401, text: "No matching federated identity record found for presented assertion issuer '{issuer}'." + adviceFederated},
	700212:  {oauthError: "invalid_client", status: 401, text: "No matching federated identity record found for presented assertion audience '{audience}'." + adviceFederated},
	700213:  {oauthError: "invalid_client", status: 401, text: "No matching federated identity record found for presented assertion subject '{subject}'." + adviceFederated},
	900144:  {oauthError: "invalid_request", status: 400, text: "The request body must contain the following parameter: '{parameter}'."},
	1002012: {oauthError: "invalid_scope", status: 400, text: "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."},
	7000112: {oauthError: "unauthorized_client", status: 400, text: "Application '{client}'({client}) is disabled."},
	7000113: {oauthError: "unauthorized_client", status: 400, text: "Application '{client}' is not authorized to make application on-behalf-of calls."},
	7000215: {oauthError: "invalid_client", status: 401, text: "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'."},
	7000218: {oauthError: "invalid_client", status: 401, text: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
	7000222: {oauthError: "invalid_client", status: 401, text: "The provided client secret keys for app '{client}' are expired." + adviceNewSecret},
	7002138: {oauthError: "invalid_client", status: 401, text: "No matching federated identity record found for presented assertion subject '{subject}'. The subject matches with case-insensitive comparison, but not with case-sensitive comparison." + adviceFederated},
	9000411: {oauthError: "invalid_request", status: 400, text: "The request is not properly formatted. The parameter '{parameter}' is duplicated."},
	9001023: {oauthError: "invalid_request", status: 400, text: "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint."},
	9002313: {oauthError: "invalid_request", status: 400, text: "Invalid request. Request is malformed or invalid."},
	9002341: {oauthError: "interaction_required", status: 400, text: "User is required to permit SSO."},
}

// errorBody is the body of Entra's errors, with members in Entra's order.
type errorBody struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri"`
	Suberror      string `json:"suberror,omitempty"`
}

// refuse answers with one of Entra's errors. A status of 0 means the error's own. placeholders are
// the values for its text. "error" among them overrides the OAuth error code, and "correlation" is
// the client's identifier of the request, by default the one in the request's header.
func (s *Server) refuse(
	w http.ResponseWriter, r *http.Request, code, status int, placeholders map[string]string,
) {
	e := refusals[code]
	if code == 90002 && r.Method == http.MethodGet {
		e.oauthError = "invalid_tenant" // documents differ from the token endpoint here
	}
	if name := placeholders["error"]; name != "" {
		e.oauthError = name
	}
	if status == 0 {
		status = e.status
	}
	correlationID := cmp.Or(placeholders["correlation"], r.Header.Get("client-request-id"))
	n := s.nextSerial()
	body := errorBody{
		Error:         e.oauthError,
		Codes:         []int{code},
		Timestamp:     time.Now().UTC().Format("2006-01-02 15:04:05Z"),
		TraceID:       guid("trace", n),
		CorrelationID: cmp.Or(correlationID, guid("correlation", n)),
		URI:           fmt.Sprintf("https://%s/error?code=%d", r.Host, code),
		Suberror:      e.suberror,
	}
	text := fillPlaceholders(e.text, placeholders)
	body.Description = fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
		code, text, body.TraceID, body.CorrelationID, body.Timestamp)
	if r.Method == http.MethodPost {
		setClientTelemetry(w, code)
	}
	writeEntra(w, status, body.TraceID, correlationID, body)
}

// fillPlaceholders replaces the placeholders in braces that have a value. It leaves others as they
// are: Entra itself sends {EmailHidden}.
func fillPlaceholders(text string, placeholders map[string]string) string {
	var pairs []string
	for name, value := range placeholders {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// onlyParameters reports and refuses a request with unknown or repeated parameters. It returns
// false if it has answered.
func (s *Server) onlyParameters(
	w http.ResponseWriter, r *http.Request, parameters url.Values, known ...string,
) bool {
	request := r.Method + " " + r.Host + " " + r.URL.Path
	for name, values := range parameters {
		if !slices.Contains(known, name) {
			s.unexpected("%s: unknown parameter %q", request, name)
			s.refuse(w, r, 9002313, 0, nil)
			return false
		}
		if len(values) != 1 {
			s.unexpected("%s: parameter %q is there %d times", request, name, len(values))
			s.refuse(w, r, 9000411, 0, map[string]string{"parameter": name})
			return false
		}
	}
	return true
}

// requireKnownCode is fatal for an AADSTS code that is not in the table of refusals. 0 means no
// code.
func (s *Server) requireKnownCode(code int) {
	if _, ok := refusals[code]; code != 0 && !ok {
		s.tb.Fatalf("entratest: AADSTS%d is not in the table of refusals", code)
	}
}
