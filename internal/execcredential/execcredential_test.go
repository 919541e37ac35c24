package execcredential

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/pkg/apis/clientauthentication"
	"k8s.io/client-go/pkg/apis/clientauthentication/install"
)

func TestParseInfo(t *testing.T) {
	const v1, v1beta1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
	yes := true
	for value, want := range map[string]Info{
		"":   {APIVersion: v1beta1},
		" ":  {APIVersion: v1beta1},
		"{}": {APIVersion: v1beta1},
		`{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":true}}`: {APIVersion: v1, Interactive: &yes},
		`{"spec":{"interactive":false}}`: {APIVersion: v1beta1, Interactive: new(bool)},
		`{"apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"cluster":{"server":1}}}`: {APIVersion: v1beta1},
		`{"spec":{"cluster":{"server":"https://a","tls-server-name":1,"config":[{"b": null}]}}}`: {
			APIVersion: v1beta1, Server: "https://a", Config: json.RawMessage(`[{"b": null}]`),
		},
		`{"spec":{"cluster":{"server":{},"config":"x"}}}`: {
			APIVersion: v1beta1, Config: json.RawMessage(`"x"`),
		},
		`{"spec":{"cluster":[[]]}}`:    {APIVersion: v1beta1},
		`{"kind":"ExecCredential"}`:    {APIVersion: v1beta1},
		`{"apiVersion":"v1"}`:          {},
		`{"apiVersion":1}`:             {},
		`{"kind":"Pod"}`:               {},
		`{"spec":{"interactive":"x"}}`: {},
		`{} {}`:                        {},
		`[]`:                           {},
		`x`:                            {},
	} {
		got, err := ParseInfo(value)
		if (err == nil) != (want.APIVersion != "") || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", value, got, err, want)
		}
	}
}

// client-go's own decoder reads back what Write writes, in both versions.
func TestWrite(t *testing.T) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	expires := time.Date(2030, 1, 1, 12, 0, 0, 999, time.FixedZone("east", 3600))
	for _, version := range supportedVersions {
		var out bytes.Buffer
		if err := Write(&out, version, "the token", expires); err != nil {
			t.Fatal(err)
		}
		const expiry = `"expirationTimestamp":"2030-01-01T11:00:00Z"`
		if !strings.Contains(out.String(), expiry) || !strings.HasSuffix(out.String(), "}\n") {
			t.Errorf("wrote %s", out.String())
		}
		decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
		object, kind, err := decoder.Decode(out.Bytes(), nil, nil)
		if err != nil || kind.GroupVersion().String() != version {
			t.Fatalf("%v, %v", kind, err)
		}
		var c clientauthentication.ExecCredential
		if err := scheme.Convert(object, &c, nil); err != nil {
			t.Fatal(err)
		}
		if c.Status.Token != "the token" ||
			!c.Status.ExpirationTimestamp.Time.Equal(expires.Truncate(time.Second)) {
			t.Errorf("read back %+v", c.Status)
		}
	}
	if err := Write(brokenWriter{}, supportedVersions[0], "t", expires); err == nil {
		t.Error("Write does not return the error of a broken pipe")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func FuzzParseInfo(f *testing.F) {
	f.Add("")
	f.Add(`{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",` +
		`"spec":{"interactive":false,"cluster":{"server":"https://x"}}}`)
	f.Add(`{"apiVersion":null,"spec":null}`)
	f.Add(`{"APIVERSION":"client.authentication.k8s.io/v1"}`)
	f.Fuzz(func(t *testing.T, value string) {
		got, err := ParseInfo(value)
		if err != nil {
			if len(err.Error()) > 400+len(value) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("%q is not one line", err)
			}
			return
		}
		if !slices.Contains(supportedVersions, got.APIVersion) {
			t.Fatalf("%+v", got)
		}
		if value != "" && strings.TrimSpace(value) != "" && !json.Valid([]byte(value)) {
			t.Fatal("ParseInfo accepts a value that is not JSON")
		}
	})
}
