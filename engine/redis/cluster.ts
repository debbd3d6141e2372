/**
 * A client of Redis Cluster, which looks to its users like a single connection: every call goes to the
 * node of its key and is never repeated. What differs is here: the run id, which stands for all
 * primaries, the loss of one node, and calls that travel together.
 */
import { createHash } from 'node:crypto';
import { Cluster, Command, type Redis, type RedisOptions } from 'ioredis';
import type { RedisAddress } from './address.ts';

/** A process that heard of no MOVED learns of a failover or a slot move by asking this often. */
const SLOTS_EVERY_MS = 1000;
const SLOTS_TIMEOUT_MS = 1000;
/** Never more than this between two tries to find the Cluster. */
const RECONNECT_MAX_MS = 200;
/** A slot on its way answers TRYAGAIN, and has done nothing. */
const TRY_AGAIN_MS = 50;
/** A primary that serves one slot of a hundred is met by then. */
const NUMBERS_MAX = 1000;

/** Of ioredis's own state: which node keys serve each slot, the primary first; and groups of slots. */
interface ClusterState {
  slots: string[][];
  _groupsBySlot: number[];
}

/** What is known of the nodes of a client. */
interface Nodes {
  runIds: Map<string, string>;
  /** The run id of all; null while one is not known. */
  current: string | null;
}

const nodesOf = new WeakMap<Cluster, Nodes>();

/** `options` are those of each node's connection. */
export function createCluster(address: RedisAddress, options: RedisOptions): Cluster {
  const { enableOfflineQueue = true, ...rest } = options;
  const cluster = new Cluster([...address.nodes], {
    redisOptions: { ...rest, maxRetriesPerRequest: null } as never,
    enableOfflineQueue,
    clusterRetryStrategy: (attempt) => Math.min(RECONNECT_MAX_MS, 20 * attempt),
    slotsRefreshInterval: SLOTS_EVERY_MS,
    slotsRefreshTimeout: SLOTS_TIMEOUT_MS,
    shardedSubscribers: true,
    // A command is not sent again when its connection was lost, or the Cluster is down.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: TRY_AGAIN_MS,
    // Certificates name hosts, and Node resolves them.
    dnsLookup: (host, done) => done(null, host),
  });
  const nodes: Nodes = { runIds: new Map(), current: null };
  nodesOf.set(cluster, nodes);
  const look = () => {
    nodes.current = runIdOfAll(cluster, nodes.runIds);
  };
  cluster.on('+node', (node: Redis) => {
    onRunId(node, (runId) => {
      nodes.runIds.set(keyOf(node), runId);
      look();
    });
  });
  // Every primary is connected, so that its run id is known before it is needed. Not earlier: the
  // client's own readiness check would meet a node that is just being connected, and give up.
  const connectAll = () => {
    if (cluster.status !== 'ready') return;
    for (const node of cluster.nodes('master')) if (node.status === 'wait') node.connect(() => {});
    look();
  };
  cluster.on('ready', connectAll);
  cluster.on('refresh', connectAll);
  return cluster;
}

/** The readiness check of each node's connection asks `INFO`. */
function onRunId(node: Redis, listener: (runId: string) => void): void {
  const { connector } = node as unknown as {
    connector: { check(info: { run_id?: string }): boolean };
  };
  const check = connector.check.bind(connector);
  connector.check = (info) => {
    if (info.run_id) listener(info.run_id);
    return check(info);
  };
}

const keyOf = ({ options: { host, port } }: Redis) => `${host}:${port}`;

/** The client itself, when it is one of a Cluster. */
export function asCluster(client: unknown): Cluster | null {
  return client instanceof Cluster ? client : null;
}

/**
 * What stands for the run id of a single server: another one whenever a primary was started again or
 * replaced. Of a primary that is away the last one counts, so that the others' zones go on.
 */
export function clusterRunId(cluster: Cluster): string | null {
  return nodesOf.get(cluster)?.current ?? null;
}

function runIdOfAll(cluster: Cluster, known: ReadonlyMap<string, string>): string | null {
  const { slots } = cluster as unknown as ClusterState;
  const primaries = new Set(slots.map(([primary]) => primary ?? ''));
  const ids = [...primaries].map((key) => known.get(key));
  if (ids.length === 0 || ids.includes(undefined)) return null;
  return createHash('sha1').update(ids.sort().join()).digest('hex');
}

/** Numbers for which `keyOf` gives keys that lie on every primary. */
export function numbersOnAll(cluster: Cluster, keyOf: (number: number) => string): number[] {
  const { slots } = cluster as unknown as ClusterState;
  const found = new Map<string, number>();
  const primaries = new Set(slots.map(([primary]) => primary ?? '')).size;
  for (let number = 0; found.size < primaries && number < NUMBERS_MAX; number++) {
    const primary = slots[slotOf(keyOf(number))]?.[0] ?? '';
    if (!found.has(primary)) found.set(primary, number);
  }
  return [...found.values()];
}

const slotOf = (key: string) => new Command('exists', [key]).getSlot() ?? 0;

/** Calls for keys of the same group may share a pipeline. */
export function groupOf(cluster: Cluster, key: string): number {
  return (cluster as unknown as ClusterState)._groupsBySlot[slotOf(key)] ?? -1;
}
