// Lists the pods of a namespace with each kubeconfig, as Kubernetes' JavaScript client reads it.
//
// usage: list_pods.mjs FOLDER NAMESPACE KUBECONFIG...    FOLDER has the client in node_modules
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, namespace, ...files] = process.argv.slice(2);
const installed = createRequire(join(folder, 'package.json'));
const { CoreV1Api, KubeConfig } = await import(pathToFileURL(installed.resolve('@kubernetes/client-node')));

for (const file of files) {
  const config = new KubeConfig();
  config.loadFromFile(file);
  const context = config.getContextObject(config.getCurrentContext());
  if (context.namespace !== namespace) {
    throw new Error(`${file} is for the namespace ${context.namespace}`);
  }
  const pods = await config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace });
  console.log('kubeconfig', ...pods.items.map((pod) => pod.metadata.name));
}
