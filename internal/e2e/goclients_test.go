package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// clientVariable is an environment variable that makes the test binary run a client of goClients. A
// process of its own gives each client its own client-go state.
const clientVariable = "AKSLOGIN_E2E_CLIENT"

func TestMain(m *testing.M) {
	if name := os.Getenv(clientVariable); name != "" {
		if err := runGoClient(goClients[name], name); err != nil {
			fmt.Println("error 0", err)
		}
		return
	}
	os.Exit(m.Run())
}

// goClient is the main function of a long-running client. transport carries client's requests.
type goClient func(
	ctx context.Context, client kubernetes.Interface, namespace string, transport *timedTransport,
) error

// goClients are the clients built with client-go. Like the clients in testdata, they print a line
// for every result: "ok SECONDS" for a response, "error SECONDS TEXT" for a failure, each with the
// duration of the request, or "added POD". They stop when standard input ends.
var goClients = map[string]goClient{"informer": informPods, "poller": pollPods}

// informPods watches the pods of a namespace.
func informPods(
	ctx context.Context, client kubernetes.Interface, namespace string, transport *timedTransport,
) error {
	// The API server checks the token only when a request begins. client-go's watches last minutes,
	// longer than a token in these tests; shorter watches make it check every token.
	short := func(o *metav1.ListOptions) { o.TimeoutSeconds = new(int64(2)) }
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithNamespace(namespace), informers.WithTweakListOptions(short))
	pods := factory.Core().V1().Pods().Informer()
	printError := func(ctx context.Context, _ *cache.Reflector, err error) {
		if ctx.Err() == nil {
			fmt.Printf("error %.3f %v\n", transport.last().Seconds(), err)
		}
	}
	if err := pods.SetWatchErrorHandlerWithContext(printError); err != nil {
		return err
	}
	printAdded := func(pod any) { fmt.Println("added", pod.(*corev1.Pod).Name) }
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: printAdded})
	if err != nil {
		return err
	}
	factory.StartWithContext(ctx)
	if cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		fmt.Printf("ok %.3f\n", transport.last().Seconds())
	}
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

// pollPods lists the pods of a namespace every two seconds. It completes a request that has begun.
func pollPods(
	ctx context.Context, client kubernetes.Interface, namespace string, transport *timedTransport,
) error {
	pods := client.CoreV1().Pods(namespace)
	for {
		_, err := pods.List(context.WithoutCancel(ctx), metav1.ListOptions{})
		if err != nil {
			fmt.Printf("error %.3f %v\n", transport.last().Seconds(), err)
		} else {
			fmt.Printf("ok %.3f\n", transport.last().Seconds())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

// runGoClient runs a client with the kubeconfig from the environment until standard input ends.
func runGoClient(run goClient, name string) error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)
	namespace, _, err := kubeconfig.Namespace()
	if err != nil {
		return err
	}
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return err
	}
	config.UserAgent = name + "/" + namespace
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	transport := &timedTransport{next: hc.Transport}
	hc.Transport = transport
	client, err := kubernetes.NewForConfigAndClient(config, hc)
	if err != nil {
		return err
	}
	return run(ctx, client, namespace, transport)
}

// timedTransport measures the last request, including everything that client-go does for it, such
// as running the plugin.
type timedTransport struct {
	next      http.RoundTripper
	lastNanos atomic.Int64
}

func (t *timedTransport) last() time.Duration { return time.Duration(t.lastNanos.Load()) }

func (t *timedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	defer func() { t.lastNanos.Store(int64(time.Since(start))) }()
	return t.next.RoundTrip(r)
}

// goClient returns a command that runs a client of goClients in the workload's environment.
func (w *workload) goClient(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command(self)
	cmd.Env = append(cmd.Env, clientVariable+"="+name)
	return cmd
}
