// Token lists the pods of a namespace without a kubeconfig and without a plugin. It gets the
// cluster's token from Entra ID through akslogin's package token, and keeps it sealed in a cache.
// On Linux and macOS, that is the cache of the akslogin plugin.
//
// The identity comes from AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE. In a
// pod, the workload identity webhook sets these variables.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
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
	flag.StringVar(&config.Host, "server", "", "URL of the API server, https://...")
	flag.StringVar(&config.CAFile, "certificate-authority", "", "PEM file with the cluster's CA")
	namespace := flag.String("namespace", "default", "namespace of the pods to list")
	every := flag.Duration("every", 0, "list the pods again at this interval; 0 lists them once")
	flag.Parse()

	client, err := connect(&config)
	if err != nil {
		fail(err)
	}
	if err := list(client, *namespace); err != nil {
		fail(err)
	}
	for *every > 0 {
		time.Sleep(*every)
		if err := list(client, *namespace); err != nil { // go on: the next attempt may succeed
			fmt.Fprintln(os.Stderr, "token:", err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "token:", err)
	os.Exit(1)
}

// connect returns a client that logs in with the identity from the environment.
func connect(config *rest.Config) (*kubernetes.Clientset, error) {
	// No value is set explicitly by a flag: all come from environment variables and defaults.
	explicit := func(string) bool { return false }
	request, err := token.Request{}.Resolve(explicit, os.Getenv)
	if err != nil {
		return nil, explain(err)
	}
	dir, _, _ := cache.DefaultDir()
	source := source{request, cache.Dir{Path: dir}}
	// client-go keeps the token until its Expiry, refreshes it for one request at a time, and drops
	// it when the API server responds with 401.
	cached := transport.NewCachedTokenSource(source)
	config.WrapTransport = transport.ResettableTokenSourceWrapTransport(cached)
	return kubernetes.NewForConfig(config)
}

// source is an oauth2.TokenSource that gets tokens from the cache or from Entra ID.
type source struct {
	request token.Request
	dir     cache.Dir
}

// Token returns the token of the request's identity. Its Expiry leaves time for a refresh.
func (s source) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.request.Timeout)
	defer cancel()
	got, err := token.Get(ctx, s.request, token.Options{Store: s.store})
	if err != nil {
		return nil, explain(err)
	}
	return &oauth2.Token{AccessToken: got.Value, Expiry: got.ReportedExpiry(time.Now())}, nil
}

// store returns the cache entry that processes with the same identity share. Without one, each
// process gets a token of its own.
func (s source) store(secret []byte, inputs []string) token.Store {
	entry, err := s.dir.Entry(secret, inputs...)
	if err != nil {
		return nil // a nil entry would make an interface that is not nil
	}
	return entry
}

// explain returns an error with akslogin's message, from which secrets are removed, and its hint.
func explain(err error) error {
	e := token.Explain(err)
	if e.Hint == "" {
		return errors.New(e.Text)
	}
	return fmt.Errorf("%s (%s)", e.Text, e.Hint)
}

func list(client *kubernetes.Clientset, namespace string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		fmt.Println(pod.Name)
	}
	return nil
}
