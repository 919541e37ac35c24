package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/airflow"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/token"
)

// outputFormat is a way to write a kubeconfig.
type outputFormat struct {
	name, about string
	connection  bool // it is an Airflow connection
	takesID     bool // it holds the connection's ID
	encode      func(d kubeconfig.Document, connectionID string) ([]byte, error)
}

// outputFormats are the values of kubeconfig --output. A format that is no kubeconfig also needs a
// case in overwrites, so that its file can be replaced.
var outputFormats = []outputFormat{
	{name: "yaml", about: "a kubeconfig in YAML",
		encode: func(d kubeconfig.Document, _ string) ([]byte, error) { return d.YAML() }},
	{name: "json", about: "a kubeconfig in JSON",
		encode: func(d kubeconfig.Document, _ string) ([]byte, error) { return indentJSON(d.JSON()) }},
	{name: "airflow-connection", about: "an Airflow connection for airflow connections add --conn-json", connection: true,
		encode: func(d kubeconfig.Document, _ string) ([]byte, error) { return airflow.ConnectionJSON(d) }},
	{name: "airflow-env", about: "a variable that defines an Airflow connection", connection: true, takesID: true,
		encode: airflow.ConnectionEnv},
	{name: "airflow-uri", about: "an Airflow connection as a URI", connection: true,
		encode: func(d kubeconfig.Document, _ string) ([]byte, error) { return airflow.ConnectionURI(d) }},
}

func indentJSON(raw []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Indent(&out, raw, "", "  ")
	return out.Bytes(), err
}

// writeOutput writes to the file that the flag names, or to standard output if path is empty or
// "-". It refuses to replace a file that holds more than the new content.
func writeOutput(flag, path string, content []byte) error {
	if path == "" || path == "-" {
		_, err := os.Stdout.Write(content)
		return err
	}
	file := cache.ExpandPath(path)
	old, err := kubeconfig.Read(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if lost := overwrites(file, old, content); lost != "" {
		return &token.UsageError{
			Text: fmt.Sprintf("%s %s holds %s, which would be lost", flag, path, lost),
			Hint: "name another file, or remove this one; KUBECONFIG can name several",
		}
	}
	// A signal must not leave the temporary file. Writing is short, so signals are ignored.
	_, stop := untilSignal()
	defer stop()
	return kubeconfig.WriteFile(file, content)
}

// overwrites describes what the old content has and the new one lacks: an entry of another name, a
// line for another variable, or something that is neither a kubeconfig nor a connection. It returns
// "" if nothing would be lost.
func overwrites(file string, old, content []byte) string {
	if variable, _, found := bytes.Cut(content, []byte("='")); found {
		for line := range bytes.Lines(old) {
			if len(bytes.TrimSpace(line)) > 0 && !bytes.HasPrefix(line, append(variable, '=')) {
				return "other lines than " + string(variable)
			}
		}
		return ""
	}
	isURI := func(b []byte) bool { return bytes.HasPrefix(b, []byte(airflow.URIScheme)) }
	if len(bytes.TrimSpace(old)) == 0 || isURI(content) && isURI(old) {
		return ""
	}
	before, err := kubeconfig.Parse(file, old)
	if err != nil || len(entryNames(before)) == 0 && !bytes.HasPrefix(old, []byte(`{"conn_type"`)) {
		return "something else"
	}
	after, err := kubeconfig.Parse(file, content)
	if err != nil {
		return "a kubeconfig"
	}
	kept := entryNames(after)
	for _, name := range entryNames(before) {
		if !slices.Contains(kept, name) {
			return fmt.Sprintf("%q", name)
		}
	}
	return ""
}

// entryNames returns the names of a kubeconfig's contexts, clusters and users.
func entryNames(f *kubeconfig.File) (names []string) {
	for _, c := range f.Contexts {
		names = append(names, c.Name)
	}
	for _, c := range f.Clusters {
		names = append(names, c.Name)
	}
	for _, u := range f.Users {
		names = append(names, u.Name)
	}
	return names
}

// checkDocument returns an error if a value of the kubeconfig looks different from what programs
// read. It checks values before they are encoded: JSON, YAML and URIs escape some characters, and
// readers get them back.
func checkDocument(d kubeconfig.Document) error {
	for _, part := range []struct {
		name  string
		value any
	}{
		{"the name", d.Name},
		{"the namespace", d.Namespace},
		{"the cluster", d.Cluster},
		{"the arguments", d.Exec.Args},
		{"the variables", d.Exec.Env},
	} {
		if err := checkVisible(part.name, fmt.Sprint(part.value)); err != nil {
			return err
		}
	}
	return nil
}

// checkVisible is checkDocument for one value. name is that of the value.
func checkVisible(name, value string) error {
	found := findInvisible(value)
	if found == "" {
		return nil
	}
	return &token.UsageError{
		Text: name + " of the kubeconfig would have " + found + ", which is invisible or looks " +
			"like something else",
		Hint: "check the values that were given, and the names in the source kubeconfig: " +
			"invisible and control characters are not written",
	}
}

// findInvisible names a control character other than white space, an invisible character or a stack
// of combining marks in text. It returns "" if there is none.
func findInvisible(text string) string {
	for _, c := range text {
		isControl := unicode.IsControl(c) && !strings.ContainsRune("\t\r\n", c)
		if isControl || c >= utf8.RuneSelf && token.StripInvisible(string(c)) != string(c) {
			return fmt.Sprintf("%U", c)
		}
	}
	if token.StripInvisible(text) != text {
		return "a stack of combining marks"
	}
	return ""
}
