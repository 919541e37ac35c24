// Token lists the pods of a namespace without a kubeconfig and without a plugin: the program itself
// asks Entra ID for the cluster's token, by akslogin's package token, and keeps it sealed in a
// cache; on Linux and macOS in the plugin's own.
//
// Who it is comes from the environment: in a pod from the workload identity webhook, elsewhere from
// AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/oauth2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/token"
)

func main() {
	var config rest.Config
	flag.StringVar(&config.Host, "server", "", "address of the API server, https://...")
	flag.StringVar(&config.CAFile, "certificate-authority", "", "file with the cluster's CA in PEM")
	namespace := flag.String("namespace", "default", "whose pods to list")
	every := flag.Duration(
		"every",
		0,
		"list them again after so long, until it is stopped; 0: list them once",
	)
	flag.Parse()

	clients, err := connect(&config)
	if err != nil {
		fail(err)
	}
	if err := list(clients, *namespace); err != nil {
		fail(err)
	}
	for *every > 0 {
		time.Sleep(*every)
		if err := list(clients, *namespace); err != nil { // the next time may be better
			fmt.Fprintln(os.Stderr, "token:", err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "token:", err)
	os.Exit(1)
}

// connect makes clients that log in as the environment says.
func connect(config *rest.Config) (*kubernetes.Clientset, error) {
	given := func(string) bool { return false } // no flag of akslogin's is: all comes from variables and defaults
	request, err := token.Request{}.Resolve(given, os.Getenv)
	if err != nil {
		return nil, explained(err)
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	source := source{request, cache.Dir{Path: filepath.Join(folder, "akslogin")}}
	// client-go keeps the token until its Expiry, lets one request at a time ask for the next, and
	// drops it when the API server answers 401.
	config.WrapTransport = transport.ResettableTokenSourceWrapTransport(
		transport.NewCachedTokenSource(source),
	)
	return kubernetes.NewForConfig(config)
}

// source gives client-go a token whenever it has none or the last one is near its end.
type source struct {
	request token.Request
	dir     cache.Dir
}

// Token is an oauth2.TokenSource's.
func (s source) Token() (*oauth2.Token, error) {
	ctx, done := context.WithTimeout(context.Background(), s.request.Timeout)
	defer done()
	answer, err := token.Get(ctx, s.request, token.Options{Store: s.store})
	if err != nil {
		return nil, explained(err)
	}
	return &oauth2.Token{AccessToken: answer.Value, Expiry: answer.ReportedExpiry(time.Now())}, nil
}

// store shares tokens with other processes. Without a store all works too, and each process asks
// for its own.
func (s source) store(secret []byte, inputs []string) token.Store {
	entry, err := s.dir.Entry(secret, inputs...)
	if err != nil {
		return nil // and not entry, which would be a Store that is a nil pointer
	}
	return entry
}

// explained is an error in akslogin's words, which hold no secret.
func explained(err error) error {
	e := token.Explain(err)
	if e.Hint == "" {
		return errors.New(e.Text)
	}
	return fmt.Errorf("%s (%s)", e.Text, e.Hint)
}

func list(clients *kubernetes.Clientset, namespace string) error {
	ctx, done := context.WithTimeout(context.Background(), 2*time.Minute)
	defer done()
	pods, err := clients.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		fmt.Println(pod.Name)
	}
	return nil
}
