// Does to a pod with Kubernetes' JavaScript client what pod.py does with the Python client, by the kubeconfig in $KUBECONFIG.
//
// usage: pod.mjs FOLDER [poll]    FOLDER has the client in node_modules; with poll it lists pods until standard input ends
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, mode] = process.argv.slice(2);
const installed = createRequire(join(folder, 'package.json'));
const { CoreV1Api, KubeConfig } = await import(pathToFileURL(installed.resolve('@kubernetes/client-node')));

const config = new KubeConfig();
config.loadFromDefault();
const { namespace } = config.getContextObject(config.getCurrentContext());
const pods = config.makeApiClient(CoreV1Api);
const name = 'task';
const labels = { dag_id: 'example', task_id: 'task' };

async function operate() {
  const found = async () => {
    const { items } = await pods.listNamespacedPod({ namespace, labelSelector: 'dag_id=example,task_id=task' });
    console.log(items.length, 'pods');
  };
  await found();
  const body = { metadata: { name, labels }, spec: { restartPolicy: 'Never', containers: [{ name: 'base', image: 'example.invalid/task' }] } };
  console.log('created', (await pods.createNamespacedPod({ namespace, body })).metadata.name);
  const read = await pods.readNamespacedPod({ namespace, name });
  console.log('read', read.metadata.name, read.status.phase);
  await found();
  await pods.deleteNamespacedPod({ namespace, name });
  console.log('deleted', name);
}

async function poll() {
  let over = false;
  process.stdin.on('end', () => { over = true; }).resume();
  while (!over) {
    const began = performance.now();
    const took = () => ((performance.now() - began) / 1000).toFixed(3);
    try {
      await pods.listNamespacedPod({ namespace });
      console.log('ok', took());
    } catch (error) {
      console.log('error', took(), String(error).replaceAll('\n', ' '));
    }
    await new Promise((again) => setTimeout(again, 4000));
  }
}

await (mode === 'poll' ? poll() : operate());
