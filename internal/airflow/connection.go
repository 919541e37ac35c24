// Package airflow writes Airflow connections that hold a kubeconfig, and knows which settings and
// releases around Airflow break one.
package airflow

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/akslogin/akslogin/internal/kubeconfig"
)

// connection is an Airflow connection as `airflow connections add --conn-json` takes it. The
// kubeconfig is a string: deferrable tasks read an object only from provider 10.11.0 on. in_cluster
// and empty fields are left out: some versions of the provider take them for a second way to the
// cluster and refuse both.
// https://airflow.apache.org/docs/apache-airflow-providers-cncf-kubernetes/stable/connections/kubernetes.html
type connection struct {
	Type        string `json:"conn_type"`
	Description string `json:"description"`
	Extra       extras `json:"extra"`
}

type extras struct {
	KubeConfig string `json:"kube_config"`
	Namespace  string `json:"namespace,omitempty"`
}

// URIScheme is how a connection in the form of a URI begins.
const URIScheme = "kubernetes://"

// ConnectionJSON returns a connection as one line of JSON, for `airflow connections add
// --conn-json`.
func ConnectionJSON(d kubeconfig.Document) ([]byte, error) {
	e, err := newExtras(d)
	if err != nil {
		return nil, err
	}
	return compactJSON(connection{"kubernetes", "AKS cluster " + d.Name + ", login by akslogin", e})
}

// ConnectionEnv returns the variable that defines the connection with this ID, as a shell and an
// .env file take it: NAME='VALUE'. The value has no single quote.
func ConnectionEnv(d kubeconfig.Document, id string) ([]byte, error) {
	c, err := ConnectionJSON(d)
	if err != nil {
		return nil, err
	}
	value := strings.ReplaceAll(string(c), "'", `\u0027`)
	return []byte(VariableName(id) + "='" + value + "'"), nil
}

// VariableName returns the name of the variable that defines the connection with this ID.
func VariableName(id string) string { return "AIRFLOW_CONN_" + strings.ToUpper(id) }

// ConnectionURI returns a connection as a URI, for tools that take nothing else.
func ConnectionURI(d kubeconfig.Document) ([]byte, error) {
	e, err := newExtras(d)
	if err != nil {
		return nil, err
	}
	raw, err := compactJSON(e)
	if err != nil {
		return nil, err
	}
	// Only some decoders read a plus as a space.
	value := strings.ReplaceAll(url.QueryEscape(string(raw)), "+", "%20")
	return []byte(URIScheme + "/?__extra__=" + value), nil
}

func newExtras(d kubeconfig.Document) (extras, error) {
	config, err := d.JSON()
	return extras{string(config), d.Namespace}, err
}

func compactJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}
