package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// startProgram runs the program in this process and returns the URL of its control listener.
func startProgram(t *testing.T) (controlURL string, tb *controlTB) {
	t.Helper()
	tb = &controlTB{ProgramTB: &entratest.ProgramTB{Name: "entratest"}}
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, stop, tb, time.Hour, writer) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		tb.Close()
	})
	buffer := make([]byte, 8192) // a single write arrives in a single read
	n, err := reader.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(buffer[:n]), "ENTRATEST_CONTROL='")
	controlURL, _, _ = strings.Cut(rest, "'")
	return controlURL, tb
}

// request sends a request, whose body may be empty, and returns the response's status and body.
func request(t *testing.T, method, url, body string, header ...string) (status int, out string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(raw)
}

const clusterID = "/subscriptions/s/resourceGroups/g" +
	"/providers/Microsoft.ContainerService/managedClusters/c"

func TestControlEndpoints(t *testing.T) {
	controlURL, _ := startProgram(t)
	for _, c := range []struct {
		endpoint, body string
		status         int
		want           string // is part of the response
	}{
		{"GET /settings", "", 200, "{}"},
		{"POST /settings", `{"token_lifetime":"2s","latency":"1ms","alpn":"http/1.1","proxy_fault":"hang"}`, 204, ""},
		{"POST /settings", `{"proxy_fault":"","refresh_in":"1s","delay":"0s","hold":"true","proxy_down":"false"}`, 204, ""},
		{"POST /settings", `{"hold":"false","sni":"a","round_trip":"1ms","device_code_lifetime":"1m","device_poll_interval":"1s"}`, 204, ""},
		{"POST /settings", `{"token_lifetime":"9h","latency":"soon"}`, 400, `latency: time: invalid duration "soon"`},
		{"POST /settings", `{"token_lifetime":"9h","color":"red"}`, 400, `setting "color" not found`},
		{"POST /settings", `{"proxy_fault":"flood"}`, 400, `connection fault "flood" not found`},
		{"POST /settings", `{"latency":1}`, 400, "json"},
		{"GET /settings", "", 200, `"token_lifetime":"2s"`},
		{"GET /requests", "", 200, `"requests":[]`},
		{"DELETE /requests", "", 204, ""},
		{"GET /unexpected", "", 200, "[]"},
		{"POST /tokens", "", 200, "eyJ"},
		{"POST /tokens", `{"lifetime":"-1m","audience":"a","forged":true}`, 200, "eyJ"},
		{"POST /tokens", `{"lifetime":"long"}`, 400, "invalid duration"},
		{"POST /failures", `{"aadsts":700213}`, 204, ""},
		{"POST /failures", `{"aadsts":42}`, 400, "AADSTS42"},
		{"POST /failures", `{"count":2,"status":503,"retry_after":"1","body":"<html>"}`, 204, ""},
		{"POST /failures", `{"count":-1}`, 400, "count"},
		{"POST /failures", `{"break":"body"}`, 204, ""},
		{"POST /failures", `{"break":"glass"}`, 400, "break"},
		{"POST /failures", `{"conn_fault":"cut-last-byte"}`, 204, ""},
		{"POST /failures", `{"conn_fault":"hiccup"}`, 400, "hiccup"},
		{"POST /failures", `{"endpoint":"imds","status":500}`, 204, ""},
		{"POST /failures", `{"endpoint":"imds","aadsts":700213}`, 400, "IMDS does not answer with AADSTS700213"},
		{"POST /failures", `{"endpoint":"imds","conn_fault":"hang"}`, 400, "token endpoint only"},
		{"POST /failures", `{"endpoint":"moon"}`, 400, "endpoint"},
		{"POST /failures", `{"aadst":700213}`, 400, "unknown field"},
		{"DELETE /failures", "", 204, ""},
		{"POST /apps", `{"Tenant":"t","ClientID":"c","FederatedCredentials":[{"Issuer":"i","Subject":"s"}]}`, 204, ""},
		{"POST /users", `{"Tenant":"t","Name":"alice@contoso.example"}`, 204, ""},
		{"POST /users", `{"Tenant":"t","Name":"alice"}`, 400, "alice"},
		{"POST /identities", `{"Tenant":"t","ClientID":"c","SystemAssigned":true}`, 204, ""},
		{"POST /clusters", `{"Tenant":"t","ID":"` + clusterID + `"}`, 204, ""},
		{"POST /clusters", `{"Tenant":"t","ID":"c"}`, 400, "cluster"},
		{"GET /devices", "", 200, "[]"},
		{"POST /devices", `{"user_code":"ABC","user":"alice@contoso.example"}`, 400, "ABC"},
		{"POST /devices", `{"user_code":"ABC"}`, 400, "ABC"},
		{"GET /elsewhere", "", 404, ""},
		{"PUT /settings", "", 405, ""},
	} {
		method, path, _ := strings.Cut(c.endpoint, " ")
		status, response := request(t, method, controlURL+path, c.body)
		if status != c.status || !strings.Contains(response, c.want) {
			t.Errorf("%s %s: %d %s", c.endpoint, c.body, status, response)
		}
	}
}

func TestControlRefusesWebPages(t *testing.T) {
	controlURL, _ := startProgram(t)
	for _, header := range [][]string{
		{"Origin", "https://site.example"}, {"Origin", "null"}, {"Host", "site.example"},
	} {
		status, _ := request(t, "POST", controlURL+"/settings", `{"latency":"1s"}`, header...)
		if status != http.StatusForbidden {
			t.Errorf("%q: status %d", header, status)
		}
	}
	if _, settings := request(t, "GET", controlURL+"/settings", ""); settings != "{}\n" {
		t.Errorf("settings %s", settings)
	}
}

func TestUnexpectedRequestsAreListed(t *testing.T) {
	controlURL, tb := startProgram(t)
	tb.Errorf("entratest: GET %s: nothing is served there", "/x")
	_, response := request(t, "GET", controlURL+"/unexpected", "")
	var unexpected []string
	err := json.Unmarshal([]byte(response), &unexpected)
	if err != nil || len(unexpected) != 1 || !strings.Contains(unexpected[0], "GET /x") {
		t.Errorf("%v: %s", err, response)
	}
	if err := tb.Close(); err == nil {
		t.Error("Close returned no error")
	}
}

func TestShutdownEndsRun(t *testing.T) {
	controlURL, _ := startProgram(t)
	if status, _ := request(t, "POST", controlURL+"/shutdown", ""); status != http.StatusNoContent {
		t.Errorf("status %d", status)
	} // startProgram's cleanup waits for the end of run
}

func TestPrintedEnvironmentSurvivesShell(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	dir := filepath.Join(t.TempDir(), "it's a $HOME")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &entratest.Server{
		ProxyURL: "http://127.0.0.1:1",
		CAFile:   filepath.Join(dir, "ca.pem"),
		IMDSURL:  "http://127.0.0.1:2",
	}
	w := &entratest.Workload{
		TenantID:  "tenant",
		ClientID:  "client",
		TokenFile: filepath.Join(dir, "token"),
	}
	file, err := os.Create(filepath.Join(dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := printEnv(file, s, w, "http://127.0.0.1:3"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `. "$1"; env`, "sh", file.Name())
	cmd.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := "\n" + string(out)
	for _, want := range []string{
		"HTTPS_PROXY=" + s.ProxyURL,
		"SSL_CERT_FILE=" + s.CAFile,
		"AZURE_POD_IDENTITY_AUTHORITY_HOST=" + s.IMDSURL,
		"AZURE_TENANT_ID=tenant",
		"AZURE_CLIENT_ID=client",
		"AZURE_FEDERATED_TOKEN_FILE=" + w.TokenFile,
		"ENTRATEST_CONTROL=http://127.0.0.1:3",
	} {
		if !strings.Contains(lines, "\n"+want+"\n") {
			t.Errorf("%s is not in the environment:%s", want, lines)
		}
	}
	if strings.Contains(lines, "\nNO_PROXY=") || strings.Contains(lines, "\nno_proxy=") {
		t.Errorf("NO_PROXY is set:%s", lines)
	}
}
