package entra

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/akslogin/akslogin/token/internal/redact"
)

// secretParameters are the parameters of token requests whose values are secret (RFC 6749, 7521,
// 7636 and 8628).
var secretParameters = []string{
	"assertion", "client_assertion", "client_secret", "code", "code_verifier", "device_code",
	"password", "refresh_token",
}

// rememberSecrets makes sure that no message shows the secrets of a request that is about to be
// sent. Responses may repeat them.
func rememberSecrets(header http.Header, body []byte) {
	_, credentials, _ := strings.Cut(header.Get("Authorization"), " ")
	redact.Remember(credentials)
	form, _ := url.ParseQuery(string(body)) // what is not a form has none of the parameters
	for _, name := range secretParameters {
		redact.Remember(form[name]...)
	}
}
