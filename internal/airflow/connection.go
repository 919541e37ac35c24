package airflow

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/akslogin/akslogin/internal/kubeconfig"
)

// connection is an Airflow connection as `airflow connections add --conn-json` and a variable take
// it. The kubeconfig in it is a string: as an object, deferrable tasks read it from provider
// 10.11.0 on only. in_cluster and empty fields are left out, because some versions of the provider
// take them for a choice, and then there is one too many.
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

func newExtras(d kubeconfig.Document) (extras, error) {
	config, err := d.JSON()
	return extras{string(config), d.Namespace}, err
}

// ConnectionJSON is a connection in JSON, on one line.
func ConnectionJSON(d kubeconfig.Document) ([]byte, error) {
	e, err := newExtras(d)
	if err != nil {
		return nil, err
	}
	return compactJSON(connection{"kubernetes", "AKS cluster " + d.Name + ", login by akslogin", e})
}

// ConnectionEnv is the variable from which Airflow reads a connection, as a shell and an .env file
// take it. Nothing in its quotes ends them.
func ConnectionEnv(d kubeconfig.Document, id string) ([]byte, error) {
	c, err := ConnectionJSON(d)
	if err != nil {
		return nil, err
	}
	return []byte(VariableName(id) + "='" + strings.ReplaceAll(string(c), "'", `\u0027`) + "'"), nil
}

func VariableName(id string) string { return "AIRFLOW_CONN_" + strings.ToUpper(id) }

// ConnectionURI is a connection as a URI, for what takes no other form.
func ConnectionURI(d kubeconfig.Document) ([]byte, error) {
	e, err := newExtras(d)
	if err != nil {
		return nil, err
	}
	raw, err := compactJSON(e)
	if err != nil {
		return nil, err
	}
	value := strings.ReplaceAll(
		url.QueryEscape(string(raw)),
		"+",
		"%20",
	) // a plus is a blank to some decoders only
	return []byte(UriScheme + "/?__extra__=" + value), nil
}

func compactJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// UriScheme begins a connection as a URI.
const UriScheme = "kubernetes://"
