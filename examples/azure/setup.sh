#!/usr/bin/env bash
# The same as main.bicep, with the Azure CLI. It can be run again: what is there stays, or becomes what is said here.
set -euo pipefail

: "${RESOURCE_GROUP:?is the resource group of the AKS cluster}"
: "${CLUSTER:?is the name of the AKS cluster in which the pods run}"
: "${ISSUER:?is the OIDC issuer of the cluster in which Airflow runs, with the slash at its end}"
identity=${IDENTITY:-airflow-aks}
airflow_namespace=${AIRFLOW_NAMESPACE:-airflow}
pod_namespace=${POD_NAMESPACE:-jobs}

cluster_user=4abbcc35-e782-43d8-92c5-2d3f1bd2253f # Azure Kubernetes Service Cluster User Role
writer=a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb       # Azure Kubernetes Service RBAC Writer

cluster=$(az aks show --resource-group "$RESOURCE_GROUP" --name "$CLUSTER" --query id --output tsv)

ids=$(az identity create --resource-group "$RESOURCE_GROUP" --name "$identity" --query '[clientId, tenantId, principalId]' --output tsv)
read -r client tenant principal <<<"${ids//$'\n'/ }"
: "${principal:?: az identity create printed no principal ID}"

# One after the other: Entra ID refuses concurrent writes to an identity.
for account in airflow-scheduler airflow-worker airflow-triggerer; do
	az identity federated-credential create --resource-group "$RESOURCE_GROUP" --identity-name "$identity" --name "$account" \
		--issuer "$ISSUER" --subject "system:serviceaccount:$airflow_namespace:$account" --audiences api://AzureADTokenExchange --output none
done

# With the principal's type Azure does not look the new identity up, which it might not find yet.
assign() {
	az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal --role "$1" --scope "$2" --output none
}
assign "$cluster_user" "$cluster"
assign "$writer" "$cluster/namespaces/$pod_namespace"

printf 'client ID: %s\ntenant ID: %s\nprincipal ID (for rbac.yaml): %s\n' "$client" "$tenant" "$principal"
