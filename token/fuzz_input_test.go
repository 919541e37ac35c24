package token

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fuzzHidden is what stands in a value that may be quoted, and is not repeated.
const fuzzHidden = "hunter2hunter2"

func wantExplained(t *testing.T, err error) {
	t.Helper()
	e := Explain(err)
	wantPresentable(t, e.Text)
	wantPresentable(t, e.Hint)
	if e.Text == "" || strings.Contains(e.Text+e.Hint, fuzzHidden) {
		t.Fatalf("%q, %q", e.Text, e.Hint)
	}
}

// An authority that is taken is https://HOST/ and nothing else, reads the same again, and is Microsoft's by its whole name only.
func FuzzAuthority(f *testing.F) {
	for _, s := range []string{
		"https://login.microsoftonline.com", "https://LOGIN.microsoftonline.us:443//", "https://a:" + fuzzHidden + "@b/", "https://login.microsoftonline.com.evil/", `https://a\@b`, "https://[::1]:8443/", "https://[fe80::1%25a]/",
		"https://login.micrоsoftonline.com/", "https://a/?b#c", "https://a%2fb/", "https:///", "https://:443/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got, err := Request{AuthorityHost: host}.authority()
		if err != nil {
			if !strings.Contains(strings.ReplaceAll(host, "@", "\x00@"), fuzzHidden+"\x00@") {
				return // what stands in a host's place is repeated
			}
			wantExplained(t, err)
			return
		}
		if host == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || !plain(u.Host, ".-:[]") || got != "https://"+u.Host+"/" {
			t.Fatalf("%q became %q", host, got)
		}
		if again, err := (Request{AuthorityHost: got}).authority(); err != nil || again != got {
			t.Fatalf("%q became %q, and that %q, %v", host, got, again, err)
		}
		typed, err := url.Parse(host)
		if err != nil || !strings.EqualFold(typed.Hostname(), u.Hostname()) {
			t.Fatalf("%q became %q", host, got)
		}
		if isKnown(got) && (u.Port() != "" || !strings.Contains(strings.ToLower(host), u.Host)) {
			t.Fatalf("%q is taken for Microsoft's", host)
		}
	})
}

// An accepted token proxy is an https address without user, query or fragment.
func FuzzTokenProxy(f *testing.F) {
	f.Add("https://proxy.example/a/", "", "auto")
	f.Add("https://me:"+fuzzHidden+"@proxy.example/", "name", "on")
	f.Add("https://proxy.example/%2e%2e/..//", "", "")
	f.Add("https://[::1]:443", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "on")
	f.Fuzz(func(t *testing.T, address, data, mode string) {
		getenv := func(name string) string {
			return map[string]string{proxyVariable: address, caDataVariable: data, "HTTPS_PROXY": address}[name]
		}
		p, err := tokenProxyFrom(Request{AzureTokenProxy: mode}, getenv)
		switch {
		case err != nil:
			if u, parseErr := url.Parse(address); parseErr == nil && u.Host != "" && !strings.Contains(u.Host, fuzzHidden) {
				wantExplained(t, err)
			}
		case p.url != nil:
			if p.url.Scheme != "https" || p.url.Host == "" || p.url.User != nil || p.url.RawQuery != "" || data != "" && p.roots == nil {
				t.Fatalf("%q is taken: %+v", address, p)
			}
		}
		if err := checkProxy(getenv); err != nil {
			e := Explain(err)
			wantPresentable(t, e.Text)
			if strings.Contains(e.Text, fuzzHidden) {
				t.Fatal(e.Text)
			}
		}
	})
}

// A request goes to the token proxy's host, below its path, and keeps its own Host header.
func FuzzTokenProxyRedirect(f *testing.F) {
	f.Add("https://proxy.example/a/")
	f.Add("https://proxy.example/%2e%2e/..//")
	f.Add("https://[::1]:443")
	f.Fuzz(func(t *testing.T, address string) {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Skip() // no such proxy is accepted
		}
		p := tokenProxy{url: u}
		req := &http.Request{URL: &url.URL{Scheme: "https", Host: "login.example", Path: "/tenant/oauth2/v2.0/token"}, Header: http.Header{}}
		p.redirect(req)
		if req.URL.Host != p.url.Host || req.Host != "login.example" || req.URL.Scheme != "https" || !strings.HasSuffix(req.URL.Path, "/tenant/oauth2/v2.0/token") || !strings.HasPrefix(req.URL.Path, strings.TrimRight(p.url.Path, "/")) {
			t.Fatalf("%q leads to %v for %q", address, req.URL, req.Host)
		}
	})
}

// However a server asks to be left alone, it is for a time between nothing and a day, and azcore reads the same.
func FuzzRetryAfter(f *testing.F) {
	f.Add("1500", "", "")
	f.Add("", "-5", "Wed, 21 Oct 2026 07:28:00 GMT")
	f.Add("18446744073709551615", "9223372036854775808", "1e9")
	f.Add("0", " 1", "\x00")
	f.Fuzz(func(t *testing.T, ms, otherMs, after string) {
		resp := &http.Response{Header: http.Header{"Retry-After-Ms": {ms}, "X-Ms-Retry-After-Ms": {otherMs}, "Retry-After": {after}}}
		d := retryAfter(resp)
		if d < 0 || d > 24*time.Hour {
			t.Fatalf("%s", d)
		}
		_, isDate := http.ParseTime(after)
		plainRetryAfter(resp)
		for _, h := range retryHeaders[:2] {
			if resp.Header.Get(h.name) != "" {
				t.Fatalf("%s is left", h.name)
			}
		}
		left := resp.Header.Get("Retry-After")
		n, err := strconv.Atoi(left)
		switch slack := 2 * time.Second; {
		case left == "" && d > 0 && isDate != nil:
			t.Fatalf("%s is forgotten", d)
		case left != "" && (err != nil || n <= 0 || time.Duration(n)*time.Second < d-slack || time.Duration(n)*time.Second > d+slack):
			t.Fatalf("%s became %q", d, left)
		}
	})
}

// Only an account whose password Entra ID checks itself passes, whatever else stands in the answer.
func FuzzUserRealm(f *testing.F) {
	f.Add([]byte(`{"account_type":"Managed","domain_name":"contoso.example","cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:x"}`))
	f.Add([]byte(`{"account_type":"Federated","federation_metadata_url":"https://evil.example/mex"}`))
	f.Add([]byte(`{"account_type":"Managed","account_type":"Federated","federation_protocol":"WSTrust"}`))
	f.Add([]byte(`{"ACCOUNT_TYPE":"managed"}`))
	f.Add([]byte(`{"account_type":"Unknown"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		out, err := checkUserRealm(body)
		if err != nil {
			wantPresentable(t, err.Error())
			return
		}
		var passed map[string]string
		if err := json.Unmarshal(out, &passed); err != nil || !strings.EqualFold(passed["account_type"], "Managed") || len(passed) != 4 {
			t.Fatalf("%s passes as %s", body, out)
		}
		again, err := checkUserRealm(out)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%s, then %s, %v", out, again, err)
		}
	})
}

// What a CI system answers is a federated token, or an error that repeats none of it.
func FuzzCIAnswer(f *testing.F) {
	f.Add(200, []byte(`{"value":"`+secretToken+`"}`))
	f.Add(200, []byte(`{"oidcToken":"`+secretToken+`"}`))
	f.Add(200, []byte(`{"value":["`+secretToken+`"]}`))
	f.Add(200, []byte(secretToken))
	f.Add(401, []byte(`{"message":"`+secretToken+`"}`))
	f.Add(302, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 499 || status == 408 || status == 429 { // what is tried again takes time
			t.Skip()
		}
		for _, system := range []ciSystem{gitHub, pipelines} {
			wr := wire{pace: time.Nanosecond, last: &outcome{}, network: answers{status, body, http.Header{"Location": {"https://evil.example/" + secretToken}}}}
			u := url.URL{Scheme: "https", Host: "ci.example", Path: "/token"}
			given, err := system.federatedToken(context.Background(), u, "job.token", wr)
			if err != nil {
				wantExplained(t, &exchangeError{Request{Login: workloadIdentityName}, nil, nil, err})
				continue
			}
			if _, err := parseFederatedToken([]byte(given)); err != nil || status != http.StatusOK || !bytes.Contains(body, []byte(given)) && !bytes.Contains(body, []byte(`\`)) {
				t.Fatalf("%d %s gave %q, %v", status, body, given, err)
			}
		}
	})
}

// A certificate's file yields a certificate of its private key, or an error in words.
func FuzzCertificate(f *testing.F) {
	for _, name := range []string{"client.pem", "client.pfx", "client-aes256.pfx"} {
		file, err := os.ReadFile(filepath.Join("..", "testdata", "certificate", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file, "akslogin")
		f.Add(file[:len(file)/2], "")
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"), "")
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		certificates, key, err := parseCertificate(file, password)
		if err != nil {
			wantPresentable(t, Explain(Request{ClientCertificate: "file"}.certificateError(err)).Text)
			return
		}
		if k, ok := key.(*rsa.PrivateKey); !ok || len(certificates) == 0 || !k.PublicKey.Equal(certificates[0].PublicKey) {
			t.Fatalf("%T, %d certificates", key, len(certificates))
		}
	})
}

// A length of time is one as Go reads it, or refused in words; a browser comes back to this machine only; an ID is one that can stand in an address.
func FuzzValues(f *testing.F) {
	f.Add("1m30s", "http://localhost:8400", "contoso.example", "6dae42f8-4368-4678-94ff-3960e28e3630")
	f.Add("-1s", "http://localhost.evil.example", "..", "api://x/.default")
	f.Add("9999999999999h", "http://127.0.0.1@evil.example", "common", "\x1b[31m")
	f.Add("1", "http://[::1]", strings.Repeat("a.", 200), secretToken)
	f.Fuzz(func(t *testing.T, length, redirect, tenant, id string) {
		if d, err := ParseTime(length); err != nil {
			wantPresentable(t, Explain(err).Text)
		} else if want, _ := time.ParseDuration(length); d != want {
			t.Fatalf("%q is %s", length, d)
		}
		if err := (Request{RedirectURL: redirect}).checkRedirect(); err != nil {
			wantPresentable(t, Explain(err).Text)
		} else if u, err := url.Parse(redirect); redirect != "" && (err != nil || u.Scheme != "http" || u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback()) {
			t.Fatalf("%q is taken", redirect)
		}
		r := Request{Login: workloadIdentityName, TenantID: tenant, ClientID: id, ServerID: id}
		err := r.checkIDs(workloadIdentity)
		if err != nil {
			if !errors.As(err, new(*UsageError)) {
				t.Fatal(err)
			}
			wantPresentable(t, Explain(err).Text)
			return
		}
		u, err := url.Parse("https://login.example/" + tenant + "/oauth2/v2.0/token")
		if err != nil || u.Host != "login.example" || u.Path != "/"+tenant+"/oauth2/v2.0/token" || u.RawQuery != "" || strings.Contains(tenant, "..") {
			t.Fatalf("tenant %q makes %v, %v", tenant, u, err)
		}
		if id != "" && (len(id) > 250 || !plain(id, ".-_:/")) {
			t.Fatalf("%q is taken for an ID", id)
		}
	})
}
