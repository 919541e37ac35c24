package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/internal/process"
	"github.com/akslogin/akslogin/token"
)

// reviewTimeout is how long the API server may take to answer.
const reviewTimeout = 15 * time.Second

// insecureKey is the field of a kubeconfig's cluster that switches off the check of certificates.
const insecureKey = "insecure-skip-tls-verify"

// checkCertificateCheck warns about a cluster whose certificate clients do not check.
func checkCertificateCheck(cluster map[string]any) token.Finding {
	if insecure, _ := cluster[insecureKey].(bool); !insecure {
		return token.Finding{}
	}
	return token.Finding{
		Status: token.StatusWarning,
		Check:  "cluster",
		Text:   insecureKey + " is true: clients send the token to whoever answers at the API server's address",
		Todo:   "remove it, and set " + kubeconfig.CADataKey + " to the cluster's CA",
	}
}

// checkAPIServer sends the token to the cluster's API server and reports which user the server
// takes it for. It sends the token only to a server whose certificate is trusted, even if the
// kubeconfig switches that check off for clients.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review
func checkAPIServer(ctx context.Context, cluster map[string]any, bearer string) token.Finding {
	found := token.Finding{Status: token.StatusError, Check: "API server"}
	switch {
	case cluster == nil:
		found.Text, found.Todo = "no kubeconfig contains its address", "name one with --kubeconfig"
		return found
	case bearer == "":
		found.Status, found.Text = token.StatusSkipped, "not asked: there is no token to send"
		return found
	}
	server, _ := cluster["server"].(string)
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		found.Text = "its address in the kubeconfig is not https://HOST"
		found.Todo = "a token is sent only over TLS: correct the cluster's server in the kubeconfig"
		return found
	}
	found.Text = "https://" + u.Host
	status, body, err := postReview(ctx, u, cluster, bearer)
	if err != nil {
		found.Text += ": " + err.Error()
		if sendError := new(url.Error); errors.As(err, &sendError) {
			found.Text = "https://" + u.Host + ": " + sendError.Err.Error()
			found.Todo = "this machine must be able to reach it, and its certificate must be " +
				"signed by the CA in the kubeconfig; " +
				"a private cluster's API server can be reached only from its network"
			if errors.As(err, new(*tls.CertificateVerificationError)) {
				found.Text += "; the token was not sent"
			}
		}
		return found
	}
	return reviewFinding(found, status, body)
}

// postReview asks the API server whose token it is. The error is a *url.Error if it was not
// reached.
func postReview(ctx context.Context, u *url.URL, cluster map[string]any, bearer string) (status int, body []byte, err error) {
	client, err := newAPIServerClient(cluster)
	if err != nil {
		return 0, nil, err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	u = u.JoinPath("apis/authentication.k8s.io/v1/selfsubjectreviews")
	review := strings.NewReader(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), review)
	if err != nil {
		return 0, nil, errors.New("the address is not a valid URL")
	}
	req.Close = true // net/http would log what follows the response on a kept connection.
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "akslogin")
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, nil, errors.New("the connection broke before the answer was complete")
	}
	return resp.StatusCode, body, nil
}

// cachedTokenNote is part of these findings because they are about a new token, while clients get
// the cached one. get-token cannot know that a server refuses it, or that it lacks a new group.
var cachedTokenNote = process.Name() + " cache clear removes older tokens, which clients get " +
	"until they expire"

// reviewFinding reads the API server's response to a SelfSubjectReview.
func reviewFinding(found token.Finding, status int, body []byte) token.Finding {
	var review struct {
		Status struct {
			UserInfo struct {
				Username string   `json:"username"`
				Groups   []string `json:"groups"`
			} `json:"userInfo"`
		} `json:"status"`
		Message string `json:"message"`
	}
	err := json.Unmarshal(body, &review)
	user := review.Status.UserInfo
	switch {
	case status == http.StatusCreated && err == nil && user.Username != "" && user.Username != "system:anonymous":
		found.Status = token.StatusOK
		found.Text += fmt.Sprintf(" takes it for user %q in groups %q; kubectl auth can-i --list "+
			"shows what that user may do",
			user.Username, user.Groups) + "; " + cachedTokenNote
	case status == http.StatusCreated && err == nil:
		found.Text += " does not know whose token it is"
		found.Todo = "check that the cluster accepts Entra ID's users (az aks show --query aadProfile) and belongs to the token's tenant"
	case status == http.StatusUnauthorized:
		found.Text += " refuses the token (401)"
		found.Todo = "the cluster must accept Entra ID's users (az aks show --query aadProfile), " +
			"belong to the token's tenant (tid above), " +
			"and expect the token's audience (aud above); its clock must be right. After a " +
			"change: " + cachedTokenNote
	case status == http.StatusNotFound:
		found.Status = token.StatusWarning
		found.Text += " cannot tell which user a token is for: it is older than Kubernetes 1.28"
	default:
		found.Text += fmt.Sprintf(" answers with HTTP status %d: %s", status, review.Message)
		found.Todo = "check what answers at this address: a proxy, a firewall's page, or another " +
			"server"
		if status == http.StatusForbidden {
			found.Todo = "the API server knows the user but forbids a SelfSubjectReview, which " +
				"the role system:basic-user allows; " +
				"or a proxy or firewall answers instead of it"
		}
	}
	return found
}

// newAPIServerClient returns a client that trusts the CA that the kubeconfig's cluster names, or
// those of the system, and follows no redirect, so that no other host gets the token.
func newAPIServerClient(cluster map[string]any) (*http.Client, error) {
	text := func(field string) string { s, _ := cluster[field].(string); return s }
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: text("tls-server-name")}
	if data := text(kubeconfig.CADataKey); data != "" {
		pem, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
		config.RootCAs = x509.NewCertPool()
		if err != nil || !config.RootCAs.AppendCertsFromPEM(bytes.TrimSpace(pem)) {
			return nil, errors.New("the kubeconfig's " + kubeconfig.CADataKey + " is not a base64-encoded PEM certificate")
		}
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = config
	if proxy := text("proxy-url"); proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil || u.Host == "" {
			return nil, errors.New("the kubeconfig's proxy-url is not a URL")
		}
		t.Proxy = http.ProxyURL(u)
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
