"""Make the requests of Airflow's KubernetesPodOperator with Kubernetes' Python client.

usage: pod.py CONNECTION [poll]

CONNECTION is a file with an Airflow connection in JSON, which contains the kubeconfig.
With poll, pod.py lists pods until standard input ends.
"""

import json
import select
import sys
import tempfile
import time

from kubernetes import client, config

NAME = "task"
LABELS = {"dag_id": "example", "kubernetes_pod_operator": "True", "run_id": "manual", "task_id": "task"}
SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items()) + ",already_checked!=True,!airflow-worker"


def connect(path):
    """Load the kubeconfig as KubernetesHook.get_conn does, from a file that is then deleted."""
    with open(path, encoding="utf-8") as file:
        extra = json.load(file)["extra"]
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(extra["kube_config"])
        file.flush()
        configuration = client.Configuration()
        config.load_kube_config(config_file=file.name, client_configuration=configuration)
    return client.CoreV1Api(client.ApiClient(configuration)), extra["namespace"]


def operate(pods, namespace):
    """Make the requests of find_pod, create_pod, await_pod_start and cleanup."""

    def count():
        print(len(pods.list_namespaced_pod(namespace, label_selector=SELECTOR).items), "pods")

    count()
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name=NAME, labels=LABELS),
        spec=client.V1PodSpec(restart_policy="Never", containers=[client.V1Container(name="base", image="example.invalid/task")]),
    )
    print("created", pods.create_namespaced_pod(body=pod, namespace=namespace).metadata.name)
    read = pods.read_namespaced_pod(NAME, namespace)
    print("read", read.metadata.name, read.status.phase)
    count()
    pods.delete_namespaced_pod(name=NAME, namespace=namespace, body=client.V1DeleteOptions())
    print("deleted", NAME)


def poll(pods, namespace):
    delay = 0
    while not select.select([sys.stdin], [], [], delay)[0]:
        delay, start = 4, time.monotonic()
        try:
            pods.list_namespaced_pod(namespace)
            print(f"ok {time.monotonic() - start:.3f}", flush=True)
        except Exception as error:  # every error that a user of the client would see
            print(f"error {time.monotonic() - start:.3f}", str(error).replace("\n", " "), flush=True)


(poll if sys.argv[2:] == ["poll"] else operate)(*connect(sys.argv[1]))
