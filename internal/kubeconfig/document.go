package kubeconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document is a complete kubeconfig to be written: one cluster, one user with an exec config, and
// the current context that joins them.
type Document struct {
	Name      string         // name of the cluster, the user and the context
	Cluster   map[string]any // the cluster's fields, as in Cluster.Fields
	Namespace string         // the context's namespace; may be empty
	Exec      Exec           // the user's exec config; a nil ProvideClusterInfo is written as false
}

// These types fix the order in which a Document's fields are written.
type (
	docConfig struct {
		APIVersion     string       `json:"apiVersion"`
		Kind           string       `json:"kind"`
		CurrentContext string       `json:"current-context"`
		Clusters       []docCluster `json:"clusters"`
		Contexts       []docContext `json:"contexts"`
		Users          []docUser    `json:"users"`
	}
	docCluster struct {
		Name    string         `json:"name"`
		Cluster map[string]any `json:"cluster"`
	}
	docContext struct {
		Name    string `json:"name"`
		Context struct {
			Cluster   string `json:"cluster"`
			User      string `json:"user"`
			Namespace string `json:"namespace,omitempty"`
		} `json:"context"`
	}
	docUser struct {
		Name string `json:"name"`
		User struct {
			Exec docExec `json:"exec"`
		} `json:"user"`
	}
	docExec struct {
		APIVersion         string   `json:"apiVersion"`
		Command            string   `json:"command"`
		Args               []string `json:"args"`
		Env                []docEnv `json:"env,omitempty"`
		InteractiveMode    string   `json:"interactiveMode"`
		ProvideClusterInfo bool     `json:"provideClusterInfo"`
		InstallHint        string   `json:"installHint,omitempty"`
	}
	docEnv struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

func (d Document) toConfig() docConfig {
	e := d.Exec
	context := docContext{Name: d.Name}
	context.Context.Cluster, context.Context.User = d.Name, d.Name
	context.Context.Namespace = d.Namespace
	user := docUser{Name: d.Name}
	user.User.Exec = docExec{
		APIVersion:         e.APIVersion,
		Command:            e.Command,
		Args:               append([]string{}, e.Args...),
		InteractiveMode:    e.InteractiveMode,
		ProvideClusterInfo: e.ProvideClusterInfo != nil && *e.ProvideClusterInfo,
		InstallHint:        e.InstallHint,
	}
	for _, v := range e.Env {
		user.User.Exec.Env = append(user.User.Exec.Env, docEnv(v))
	}
	return docConfig{
		APIVersion:     "v1",
		Kind:           "Config",
		CurrentContext: d.Name,
		Clusters:       []docCluster{{d.Name, d.Cluster}},
		Contexts:       []docContext{context},
		Users:          []docUser{user},
	}
}

// JSON returns the document as JSON on one line, without a final newline. YAML readers, such as
// Airflow, read it alike. JSON fails only if Cluster holds a value that JSON cannot represent.
func (d Document) JSON() ([]byte, error) {
	raw, err := marshalJSON(d.toConfig())
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of %q: %w", d.Name, err)
	}
	return raw, nil
}

// marshalJSON returns v as JSON on one line that YAML readers read alike. Characters that JSON
// allows inside a string and YAML does not are written as \uXXXX.
func marshalJSON(v any) ([]byte, error) {
	var raw, out bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	for _, c := range strings.TrimSuffix(raw.String(), "\n") {
		if 0x7f <= c && c <= 0x9f || c == '\ufeff' || c == '\ufffe' || c == '\uffff' {
			fmt.Fprintf(&out, `\u%04x`, c)
		} else {
			out.WriteRune(c)
		}
	}
	return out.Bytes(), nil
}

// YAML returns the document as block-style YAML for people to read and edit. It quotes strings that
// some reader of YAML could take for another type. It quotes all arguments and variables, because
// Python runs no command with an argument that is a number. It fails only if JSON fails.
func (d Document) YAML() ([]byte, error) {
	raw, err := d.JSON()
	if err != nil {
		return nil, err
	}
	// JSON is YAML. Unlike a map, it keeps the order of the fields.
	var tree yaml.Node
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("kubeconfig of %q: %w", d.Name, err)
	}
	if err := toBlockStyle(&tree, false); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(&tree); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// quotedLists are the lists whose strings are always quoted.
var quotedLists = []string{"args", "env"}

// toBlockStyle changes a tree that was read from JSON to YAML's block style. Strings keep their
// quotes if quoted is true or if the encoder requires quotes.
func toBlockStyle(n *yaml.Node, quoted bool) error {
	switch n.Kind {
	case yaml.ScalarNode:
		if quoted || n.Tag != "!!str" {
			return nil
		}
		// Encoding a Go string quotes the words that YAML 1.1 takes for a bool. Encoding a node
		// quotes fewer of them.
		return n.Encode(n.Value)
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			list := value.Kind == yaml.SequenceNode && slices.Contains(quotedLists, key.Value)
			err := errors.Join(toBlockStyle(value, quoted || list), toBlockStyle(key, false))
			if err != nil {
				return err
			}
		}
	default:
		for _, child := range n.Content {
			if err := toBlockStyle(child, quoted); err != nil {
				return err
			}
		}
	}
	n.Style = 0
	return nil
}
