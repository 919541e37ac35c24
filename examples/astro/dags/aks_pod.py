"""Two pods in an AKS cluster: one that a worker waits for, and one that the triggerer waits for. Airflow 2.11 and 3."""

import pendulum

from airflow import DAG
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

# The cluster is the connection's. in_cluster=False keeps an in_cluster of the connection from competing with its kubeconfig; it does not make a
# connection without a kubeconfig safe: in a pod, that one means Airflow's own cluster.
COMMON = {
    "kubernetes_conn_id": "az_aks",
    "in_cluster": False,
    "namespace": "jobs",
    "image": "debian:stable-slim",
    "cmds": ["sh", "-c"],
    "get_logs": True,
    "on_finish_action": "delete_pod",
}

with DAG("aks_pod", schedule=None, start_date=pendulum.datetime(2025, 1, 1, tz="UTC"), catchup=False, tags=["aks"]):
    waiting = KubernetesPodOperator(task_id="waiting", name="aks-pod-waiting", arguments=["echo from AKS"], **COMMON)
    # The triggerer runs akslogin for every look at the pod: its service account needs a federated credential of its own.
    deferred = KubernetesPodOperator(task_id="deferred", name="aks-pod-deferred", arguments=["sleep 60"], deferrable=True, poll_interval=10, **COMMON)
    waiting >> deferred
