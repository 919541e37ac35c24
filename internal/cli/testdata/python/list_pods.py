"""Lists the pods of a namespace, with kubeconfigs and Airflow connections as Kubernetes' Python client and Airflow's KubernetesHook read them.

usage: list_pods.py NAMESPACE FORM=FILE...

FORM is kubeconfig, connection (JSON), uri, or variable, which is no file but the name of an environment variable. It prints a line for
each: FORM and the pods' names. Airflow itself is not needed, only its rules, which stand at each step.
"""

import json
import os
import sys
import tempfile
from urllib.parse import parse_qsl, urlsplit

from kubernetes import client, config


def connection_from_value(value):
    """A variable's value is JSON if it begins with a brace, and else a URI (secrets_backend: deserialize_connection)."""
    return connection_from_json(value) if value.lstrip().startswith("{") else connection_from_uri(value)


def connection_from_json(value):
    """Connection.from_json, and what `connections add --conn-json` and `import` allow."""
    fields = json.loads(value)
    legal = {"conn_id", "conn_type", "description", "login", "password", "host", "port", "schema", "extra"}
    if set(fields) - legal:
        raise ValueError(f"Airflow does not know the fields {set(fields) - legal}")
    extra = fields["extra"]
    return fields["conn_type"], extra if isinstance(extra, str) else json.dumps(extra)


def connection_from_uri(value):
    """Connection._parse_from_uri: a second :// would make a host of what follows; __extra__ holds the extras as JSON."""
    if value.count("://") != 1:
        raise ValueError("Airflow takes the URI apart at another place")
    parts = urlsplit(value)
    if parts.hostname or parts.path not in ("", "/"):
        raise ValueError("the URI names a host or a schema")
    return parts.scheme.replace("-", "_"), dict(parse_qsl(parts.query, keep_blank_values=True))["__extra__"]


def client_of_connection(conn_type, extra):
    """KubernetesHook.get_conn, and what its asynchronous brother does otherwise."""
    if conn_type != "kubernetes":
        raise ValueError(f"connection of type {conn_type}")
    extras = json.loads(extra)
    if set(extras) - {"kube_config", "namespace"} or "" in extras.values() or not isinstance(extras["kube_config"], str):
        raise ValueError(f"extras that not all versions understand: {set(extras)}")
    with tempfile.NamedTemporaryFile() as file:
        file.write(extras["kube_config"].encode())
        file.flush()
        configuration = client.Configuration()
        config.load_kube_config(config_file=file.name, client_configuration=configuration)
    return client.ApiClient(configuration), extras.get("namespace")


def client_of_file(path):
    configuration = client.Configuration()
    config.load_kube_config(config_file=path, client_configuration=configuration)
    contexts, current = config.list_kube_config_contexts(config_file=path)
    return client.ApiClient(configuration), current["context"].get("namespace")


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


FORMS = {
    "kubeconfig": client_of_file,
    "connection": lambda path: client_of_connection(*connection_from_json(text_of(path))),
    "uri": lambda path: client_of_connection(*connection_from_value(text_of(path))),
    "variable": lambda name: client_of_connection(*connection_from_value(os.environ[name])),
}

for argument in sys.argv[2:]:
    form, _, source = argument.partition("=")
    api, namespace = FORMS[form](source)
    if namespace != sys.argv[1]:
        raise ValueError(f"{argument} is for the namespace {namespace}")
    pods = client.CoreV1Api(api).list_namespaced_pod(namespace)
    print(form, *(pod.metadata.name for pod in pods.items))
