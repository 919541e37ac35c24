// Makes the requests of pod.py with Kubernetes' JavaScript client and the kubeconfig in $KUBECONFIG.
//
// usage: pod.mjs DIR [poll]
//
// DIR has the client in node_modules. With poll, pod.mjs lists pods until standard input ends.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [dir, mode] = process.argv.slice(2);
const installed = createRequire(join(dir, 'package.json'));
const { CoreV1Api, KubeConfig } = await import(pathToFileURL(installed.resolve('@kubernetes/client-node')));

const config = new KubeConfig();
config.loadFromDefault();
const { namespace } = config.getContextObject(config.getCurrentContext());
const pods = config.makeApiClient(CoreV1Api);
const name = 'task';
const labels = { dag_id: 'example', task_id: 'task' };

async function operate() {
  const count = async () => {
    const { items } = await pods.listNamespacedPod({ namespace, labelSelector: 'dag_id=example,task_id=task' });
    console.log(items.length, 'pods');
  };
  await count();
  const body = { metadata: { name, labels }, spec: { restartPolicy: 'Never', containers: [{ name: 'base', image: 'example.invalid/task' }] } };
  console.log('created', (await pods.createNamespacedPod({ namespace, body })).metadata.name);
  const read = await pods.readNamespacedPod({ namespace, name });
  console.log('read', read.metadata.name, read.status.phase);
  await count();
  await pods.deleteNamespacedPod({ namespace, name });
  console.log('deleted', name);
}

async function poll() {
  let stopped = false;
  process.stdin.on('end', () => { stopped = true; }).resume();
  while (!stopped) {
    const start = performance.now();
    const took = () => ((performance.now() - start) / 1000).toFixed(3);
    try {
      await pods.listNamespacedPod({ namespace });
      console.log('ok', took());
    } catch (error) {
      console.log('error', took(), String(error).replaceAll('\n', ' '));
    }
    await new Promise((resolve) => setTimeout(resolve, 4000));
  }
}

await (mode === 'poll' ? poll() : operate());
