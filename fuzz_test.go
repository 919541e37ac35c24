package main

import (
	"unicode"
	"unicode/utf8"

	"strings"
	"testing"

	"github.com/akslogin/akslogin/token"
)

// A resource ID that is taken is one: it reads the same again, and makes an address of Azure Resource Manager's and nobody else's.
func FuzzResourceID(f *testing.F) {
	f.Add("/subscriptions/77777777-aaaa-4444-8888-000000000001/resourceGroups/aks/providers/Microsoft.ContainerService/managedClusters/aks")
	f.Add("/SUBSCRIPTIONS/77777777-aaaa-4444-8888-000000000001/resourcegroups/ä(1)/providers/microsoft.containerservice/managedclusters/a_b")
	f.Add("/subscriptions/77777777-aaaa-4444-8888-000000000001/resourceGroups/../providers/Microsoft.ContainerService/managedClusters/a")
	f.Add("https://portal.azure.com/#/subscriptions/x")
	f.Fuzz(func(t *testing.T, id string) {
		cluster, err := parseResourceID(id)
		if err != nil {
			if text := token.Explain(err).Text; !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) }) {
				t.Fatalf("%q", text)
			}
			return
		}
		if again, err := parseResourceID(cluster.id()); err != nil || again != cluster || !strings.EqualFold(cluster.id(), id) {
			t.Fatalf("%q is %+v, and that %+v, %v", id, cluster, again, err)
		}
		address := armCall{endpoint: "https://management.example", cluster: cluster}.address(false)
		if !strings.HasPrefix(address, "https://management.example/subscriptions/") || strings.Contains(address, "/../") || strings.Count(address, "?") != 1 || strings.Contains(address, "#") {
			t.Fatalf("%q makes %q", id, address)
		}
	})
}

// Whatever an API server answers, doctor says it in words.
func FuzzReview(f *testing.F) {
	f.Add(201, []byte(`{"status":{"userInfo":{"username":"u","groups":["g"]}}}`))
	f.Add(201, []byte(`{"status":{"userInfo":{"username":"\u001b[31m\u202e","groups":["\u009b"]}}}`))
	f.Add(403, []byte("{\"message\":\"\u2028 \\u001b]52;c;x\\u0007\"}"))
	f.Add(500, []byte("\xff<html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		found := reviewed(token.Finding{Status: token.Wrong, Check: "API server", Text: "it"}, status, body)
		shown := found.Presentable()
		if text := shown.Text + shown.Todo; !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) }) {
			t.Fatalf("%q", text)
		}
		if (found.Status == token.OK) != (status == 201 && strings.Contains(found.Text, "takes it for user")) {
			t.Fatalf("%d %s: %+v", status, body, found)
		}
	})
}

// What an entry's head says of itself is listed as words of bounded length.
func FuzzListing(f *testing.F) {
	f.Add("client=a", "tenant=\x1b[31m\u202e")
	f.Add("", "=")
	f.Add("username="+strings.Repeat("ä", 5000), "a\tb\nc")
	f.Fuzz(func(t *testing.T, one, other string) {
		for _, value := range inputs([]string{one, other}) {
			if why := unclear(value); why != "" || len(value) > maxCell+3 || strings.ContainsAny(value, "\t\n\v\f") {
				t.Fatalf("%s: %q", why, value)
			}
		}
	})
}

// unclear says why a text is not for people; "" where it is.
func unclear(text string) string {
	for _, c := range text {
		if unseen(c) || c == '\n' {
			return "it has a character that cannot be seen: " + text
		}
	}
	if strings.ToValidUTF8(text, "") != text {
		return "it is no UTF-8: " + text
	}
	return ""
}
