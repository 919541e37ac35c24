// Exec lists the pods of a namespace. Its kubeconfig has a user with akslogin as exec credential
// plugin.
//
// The program itself knows nothing about Azure: client-go runs the plugin, keeps its token in
// memory, and runs the plugin again when the token expires.
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
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	const help = "path of the kubeconfig (default $KUBECONFIG, then ~/.kube/config)"
	flag.StringVar(&rules.ExplicitPath, "kubeconfig", "", help)
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
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
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
