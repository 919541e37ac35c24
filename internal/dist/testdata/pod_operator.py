"""Runs a pod as Airflow's KubernetesPodOperator does, with the connection in AIRFLOW_CONN_AZ_AKS.

It writes the connection's kubeconfig into a temporary file and removes that once it is loaded, and
logs in once for all requests. It prints the pod's log. With the package kubernetes it is that which
loads the kubeconfig; without, this program runs the exec config as that package does: the worker's
environment, the config's on top, and KUBERNETES_EXEC_INFO.
"""

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.request

try:
    from kubernetes import client, config
except ImportError:
    client = None


class StandardLibrary:
    """A client of the API server without the package kubernetes."""

    name = "standard library"

    def __init__(self, file):
        with open(file, encoding="utf-8") as source:
            kubeconfig = json.load(source)
        cluster = kubeconfig["clusters"][0]["cluster"]
        self.server = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        self.token = self.log_in(kubeconfig["users"][0]["user"]["exec"], os.path.dirname(file))

    @staticmethod
    def log_in(plugin, folder):
        info = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
        env = dict(os.environ, KUBERNETES_EXEC_INFO=json.dumps(info))
        env.update({variable["name"]: variable["value"] for variable in plugin.get("env") or []})
        run = subprocess.run([plugin["command"], *plugin["args"]], stdout=subprocess.PIPE, cwd=folder, env=env, check=True)
        return json.loads(run.stdout)["status"]["token"]

    def request(self, method, path, body=None):
        data = json.dumps(body).encode() if body else None
        headers = {"Authorization": "Bearer " + self.token, "Content-Type": "application/json"}
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context)
        )
        with opener.open(request) as answer:
            return answer.read().decode()


class Package:
    """A client of the API server with the package kubernetes."""

    name = "kubernetes"

    def __init__(self, file):
        configuration = client.Configuration()
        config.load_kube_config(config_file=file, client_configuration=configuration)
        self.api = client.ApiClient(configuration)

    def request(self, method, path, body=None):
        answer, *_ = self.api.call_api(
            path, method, body=body, auth_settings=["BearerToken"], response_type="str", _preload_content=False
        )
        return answer.data.decode()


def connect():
    connection = json.loads(os.environ["AIRFLOW_CONN_AZ_AKS"])
    if connection["conn_type"] != "kubernetes":
        raise ValueError(connection["conn_type"])
    with tempfile.NamedTemporaryFile() as file:
        file.write(connection["extra"]["kube_config"].encode())
        file.flush()
        kind = StandardLibrary if client is None else Package
        return kind(file.name), connection["extra"]["namespace"]


api, namespace = connect()
pods = f"/api/v1/namespaces/{namespace}/pods"
pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "task", "labels": {"dag_id": "aks_pod"}}}
if json.loads(api.request("GET", pods))["items"]:
    raise ValueError("there is a pod already")
api.request("POST", pods, pod)
while json.loads(api.request("GET", pods + "/task"))["status"]["phase"] != "Succeeded":
    pass
log = api.request("GET", pods + "/task/log")
api.request("DELETE", pods + "/task")
print(f"{api.name}: {log}")
sys.stdout.flush()
