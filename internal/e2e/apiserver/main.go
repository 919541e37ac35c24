// Apiserver is a kube-apiserver with an etcd in one process, on loopback, for end-to-end tests:
//
//	apiserver FOLDER [--FLAG=VALUE...]
//
// The flags are kube-apiserver's own, and come after those that make it run here. FOLDER has to be
// there, and is given its keys, its data, ca.crt, and admin.kubeconfig whose user may do all. It
// prints "READY https://127.0.0.1:PORT" when it is, logs to standard error, and ends at SIGTERM or
// when its standard input ends, so that it does not outlive whoever started it.
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
	ctx, ended := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended()
	}()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: apiserver FOLDER [--FLAG=VALUE...]")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string, flags []string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := "https://" + ln.Addr().String()
	if err := writePKI(folder, address); err != nil {
		return err
	}
	etcd, stop, err := startEtcd(ctx, folder)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer stop()
	server, err := configure(ctx, ln, append(essential(folder, etcd), flags...))
	if err != nil {
		return err
	}
	go func() {
		if err := untilReady(ctx, filepath.Join(folder, adminKubeconfig)); err == nil {
			fmt.Println("READY", address)
		}
	}()
	return app.Run(ctx, server)
}

// essential are the flags without which it does not start, or would look beyond loopback and the
// folder.
func essential(folder, etcd string) []string {
	file := func(name string) string { return filepath.Join(folder, name) }
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

// configure does what kube-apiserver's command does with its flags. The port is that of ln: the
// command would take none that is free.
func configure(
	ctx context.Context,
	ln net.Listener,
	flags []string,
) (options.CompletedOptions, error) {
	s := options.NewServerRunOptions()
	s.SecureServing.Listener = ln
	// kube-apiserver remembers tokens that it let in for ten seconds, beyond their end. Here each
	// is checked at every request.
	s.Authentication.TokenSuccessCacheTTL = 0
	set := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, some := range s.Flags().FlagSets {
		set.AddFlagSet(some)
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

// startEtcd starts one etcd, which speaks to nobody but over a Unix socket in folder, and returns
// its address. What it holds need not survive.
func startEtcd(ctx context.Context, folder string) (address string, stop func(), err error) {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	c := embed.NewConfig()
	c.Dir = filepath.Join(folder, "etcd")
	client := url.URL{Scheme: "unix", Path: filepath.Join(folder, "etcd.socket")}
	none := url.URL{
		Scheme: "http",
		Host:   "127.0.0.1:0",
	} // there are no peers, and nobody reads what is advertised, but it takes no socket there
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

// untilReady waits until the API server says that it is ready.
func untilReady(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if _, err := client.Discovery().
			RESTClient().
			Get().
			AbsPath("/readyz").
			DoRaw(ctx); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return ctx.Err()
}
