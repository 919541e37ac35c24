// Package entra is the HTTP transport of package token. It sends requests to Microsoft Entra ID, to
// metadata services that issue tokens for managed identities, and to other services that accept a
// bearer token. azidentity and MSAL send their requests through it.
//
// A caller fills in a [Client], sets its Network to the result of [Client.NewHTTPTransport], and
// passes [Client.ClientOptions] to azidentity or MSAL. [Client.Send] and [Client.Do] send single
// requests. [MetadataOptions] does for a metadata service what ClientOptions does for Entra ID.
// [Outcome] records how the last request ended, because azidentity and MSAL do not report that.
//
// The package guarantees:
//
//   - Requests go out over HTTPS, except those to a metadata service. A request other than GET only
//     goes to the client's authority, to one of its regional hosts, or to the token proxy in their
//     place, whatever a discovery document says. No redirect is followed.
//   - A response body is read whole before azidentity or MSAL sees it, and refused if it has more
//     than 1 MiB.
//   - A successful token, device code or user realm response is checked and then encoded again
//     with only the fields that MSAL needs. MSAL's errors quote bodies that MSAL cannot parse.
//   - The texts of a [Refusal] are redacted, and the errors of the checks do not repeat any part of
//     a body. net/http's own errors may quote a malformed response, so callers redact them.
//   - Transient failures are retried with backoff within the caller's context. A [PermanentError]
//     is never retried. net/http does not resend a request on its own.
//   - A connection that carried a secret is not reused.
//
// The package caches no tokens and knows no login methods. The environment variables that it reads
// are those of net/http (HTTPS_PROXY, NO_PROXY) and of crypto/x509 (SSL_CERT_FILE, SSL_CERT_DIR).
package entra
