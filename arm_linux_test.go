package main

const clusterID = "/subscriptions/44444444-dddd-4444-8888-000000000001/resourceGroups/airflow/providers/Microsoft.ContainerService/managedClusters/workers"

// aksKubeconfig is as AKS writes it for format=exec, with a word for the cluster's address left open.
const aksKubeconfig = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Y2VydGlmaWNhdGU=
    server: https://workers-%s.hcp.westeurope.azmk8s.io:443
  name: workers
contexts:
- context:
    cluster: workers
    user: clusterUser_airflow_workers
  name: workers
current-context: workers
kind: Config
preferences: {}
users:
- name: clusterUser_airflow_workers
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - get-token
      - --environment
      - AzurePublicCloud
      - --server-id
      - 6dae42f8-4368-4678-94ff-3960e28e3630
      - --client-id
      - 80faf920-1908-4b52-b5ef-a8e7bedfc67a
      - --tenant-id
      - 11111111-aaaa-4444-8888-000000000001
      - --login
      - devicecode
      command: kubelogin
      env: null
      provideClusterInfo: false
`
