// Exec lists the pods of a namespace in the cluster of a kubeconfig, whose user has akslogin as
// exec plugin.
//
// Nothing in the program is about Azure: client-go runs the plugin, keeps its token in memory, and
// runs it again when that ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	rules := clientcmd.NewDefaultClientConfigLoadingRules() // $KUBECONFIG, or else ~/.kube/config
	flag.StringVar(
		&rules.ExplicitPath,
		"kubeconfig",
		"",
		"the kubeconfig, where it is not kubectl's",
	)
	flag.Parse()
	if err := list(clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)); err != nil {
		fmt.Fprintln(os.Stderr, "exec:", err)
		os.Exit(1)
	}
}

func list(kubeconfig clientcmd.ClientConfig) error {
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return err
	}
	namespace, _, err := kubeconfig.Namespace()
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
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
