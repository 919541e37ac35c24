// What Airflow needs in Azure to start pods in an AKS cluster. It is deployed to the cluster's resource group.

@description('Name of the AKS cluster in which the pods run.')
param clusterName string

@description('OIDC issuer of the cluster in which Airflow runs, with the slash at its end.')
param issuer string

@description('Namespace of Airflow, in the cluster in which it runs.')
param airflowNamespace string = 'airflow'

@description('Namespace of the pods, in the AKS cluster.')
param podNamespace string = 'jobs'

param identityName string = 'airflow-aks'
param location string = resourceGroup().location

// Azure Kubernetes Service Cluster User Role: may fetch the kubeconfig, for akslogin kubeconfig --resource-id.
var clusterUser = '4abbcc35-e782-43d8-92c5-2d3f1bd2253f'
// Azure Kubernetes Service RBAC Writer: counts where the cluster has Azure RBAC; rbac.yaml is for the others, and gives less.
var writer = 'a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb'
var audiences = ['api://AzureADTokenExchange']

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: identityName
  location: location
}

// One credential for each service account that starts or watches pods, one after the other: Entra ID refuses concurrent writes to an identity.
resource scheduler 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: identity
  name: 'airflow-scheduler'
  properties: {
    issuer: issuer
    subject: 'system:serviceaccount:${airflowNamespace}:airflow-scheduler'
    audiences: audiences
  }
}

resource worker 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: identity
  name: 'airflow-worker'
  properties: {
    issuer: issuer
    subject: 'system:serviceaccount:${airflowNamespace}:airflow-worker'
    audiences: audiences
  }
  dependsOn: [scheduler]
}

resource triggerer 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: identity
  name: 'airflow-triggerer'
  properties: {
    issuer: issuer
    subject: 'system:serviceaccount:${airflowNamespace}:airflow-triggerer'
    audiences: audiences
  }
  dependsOn: [worker]
}

resource cluster 'Microsoft.ContainerService/managedClusters@2024-05-01' existing = {
  name: clusterName
}

// Only a scope: Azure knows no such resource, and Bicep no such type.
#disable-next-line BCP081
resource pods 'Microsoft.ContainerService/managedClusters/namespaces@2024-05-01' existing = {
  parent: cluster
  name: podNamespace
}

resource fetchesKubeconfig 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(cluster.id, identity.id, clusterUser)
  scope: cluster
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', clusterUser)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource runsPods 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(pods.id, identity.id, writer)
  scope: pods
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', writer)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

output clientId string = identity.properties.clientId
output tenantId string = identity.properties.tenantId
output principalId string = identity.properties.principalId
