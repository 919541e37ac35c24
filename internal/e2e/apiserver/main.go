// Apiserver runs kube-apiserver and etcd in one process, on loopback, for end-to-end tests:
//
//	apiserver DIR [--FLAG=VALUE...]
//
// The flags are those of kube-apiserver, and override the ones that apiserver sets itself. DIR must
// exist. apiserver writes its keys and data there, ca.crt, and admin.kubeconfig, whose user may do
// everything.
//
// When it is ready, apiserver prints "READY https://127.0.0.1:PORT". It logs to standard error. It
// stops at SIGTERM or when its standard input ends, so that it does not outlive its parent process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
	_ "time/tzdata" // as in kube-apiserver

	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc/grpclog"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // as in kube-apiserver
	_ "k8s.io/component-base/metrics/prometheus/version"  // as in kube-apiserver
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: apiserver DIR [--FLAG=VALUE...]")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

// run runs etcd and kube-apiserver until ctx is done.
func run(ctx context.Context, dir string, flags []string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := "https://" + ln.Addr().String()
	if err := writePKI(dir, address); err != nil {
		return err
	}
	etcd, stop, err := startEtcd(ctx, dir)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer stop()
	server, err := configure(ctx, ln, append(defaultFlags(dir, etcd), flags...))
	if err != nil {
		return err
	}
	go func() {
		if err := waitUntilReady(ctx, filepath.Join(dir, adminKubeconfig)); err == nil {
			fmt.Println("READY", address)
		}
	}()
	return app.Run(ctx, server)
}

// defaultFlags returns the flags that kube-apiserver needs to start, and to use only loopback and
// dir.
func defaultFlags(dir, etcd string) []string {
	file := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"--etcd-servers=" + etcd,
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + file(servingCert),
		"--tls-private-key-file=" + file(servingKey),
		"--client-ca-file=" + file(clientCA),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + file(serviceAccountKey),
		"--service-account-signing-key-file=" + file(serviceAccountKey),
		"--service-cluster-ip-range=10.96.0.0/24",
		"--authorization-mode=RBAC",
	}
}

// configure processes flags as the kube-apiserver command does. The server listens on ln, because
// the flags of kube-apiserver cannot ask for any free port.
func configure(
	ctx context.Context, ln net.Listener, flags []string,
) (options.CompletedOptions, error) {
	s := options.NewServerRunOptions()
	s.SecureServing.Listener = ln
	// By default, kube-apiserver accepts a token again for ten seconds without checking it, even if
	// it expires in the meantime. The tests need a check of every request.
	s.Authentication.TokenSuccessCacheTTL = 0
	set := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, group := range s.Flags().FlagSets {
		set.AddFlagSet(group)
	}
	if err := set.Parse(flags); err != nil {
		return options.CompletedOptions{}, err
	}
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return options.CompletedOptions{}, err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return options.CompletedOptions{}, err
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return options.CompletedOptions{}, err
	}
	return completed, errors.Join(completed.Validate()...)
}

// startEtcd starts an etcd that listens on a Unix socket in dir, and returns its address. It does
// not sync its data to disk, because no test needs them after a crash.
func startEtcd(ctx context.Context, dir string) (address string, stop func(), err error) {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	c := embed.NewConfig()
	c.Dir = filepath.Join(dir, "etcd")
	client := url.URL{Scheme: "unix", Path: filepath.Join(dir, "etcd.socket")}
	// There are no peers, and no client reads the advertised address, but both must be TCP URLs.
	none := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{none}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{none}, []url.URL{none}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.UnsafeNoFsync = true
	c.TickMs, c.ElectionMs = 10, 100
	c.LogLevel = "error"
	etcd, err := embed.StartEtcd(c)
	if err != nil {
		return "", nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return client.String(), etcd.Close, nil
	case err = <-etcd.Err():
	case <-ctx.Done():
		err = ctx.Err()
	}
	etcd.Close()
	return "", nil, err
}

// waitUntilReady waits until the API server reports that it is ready, or ctx is done.
func waitUntilReady(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		request := client.Discovery().RESTClient().Get().AbsPath("/readyz")
		if _, err := request.DoRaw(ctx); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return ctx.Err()
}
