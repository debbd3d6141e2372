/**
 * A client of Redis Cluster, which its users see as a single connection: every call goes to the node
 * of its key and is never repeated. What differs is here: the run id, which stands for all primaries,
 * the loss of one node, and calls that travel together.
 */
import { createHash } from 'node:crypto';
import { Cluster, Command, type Redis, type RedisOptions } from 'ioredis';
import type { RedisAddress } from './address.ts';

/** How often the slots are asked for: a process that got no MOVED learns of a failover or a move this way. */
const SLOTS_EVERY_MS = 1000;
const SLOTS_TIMEOUT_MS = 1000;
/** The longest pause between two tries to find the Cluster. */
const RECONNECT_MAX_MS = 200;
/** A slot that is being moved answers TRYAGAIN, and has done nothing. */
const TRY_AGAIN_MS = 50;
/** After this many numbers even a primary with one slot of a hundred is met. */
const NUMBERS_MAX = 1000;

/** Internal state of ioredis: the node keys of each slot, the primary first; and groups of slots. */
interface ClusterState {
  slots: string[][];
  _groupsBySlot: number[];
}

/** What is known of the nodes of a client. */
interface Nodes {
  runIds: Map<string, string>;
  /** The run id for all primaries; null while one is not known. */
  current: string | null;
}

const nodesOf = new WeakMap<Cluster, Nodes>();

/** `options` apply to each node's connection. */
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
    // Keep host names, since certificates name hosts; Node resolves them.
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
  // Connect to every primary, so that its run id is known before it is needed. Not earlier: the client's
  // own readiness check would meet a node that is just connecting, and give up.
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

/** The client as a Cluster client, if it is one. */
export function asCluster(client: unknown): Cluster | null {
  return client instanceof Cluster ? client : null;
}

/**
 * Stands for the run id of a single server: it changes whenever a primary is restarted or replaced. For
 * a primary that is away the last one counts, so that the zones of the others go on.
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

/** Numbers for which `keyOf` gives keys that together cover every primary. */
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

/** The group of a key: calls for keys of the same group may share a pipeline. */
export function groupOf(cluster: Cluster, key: string): number {
  return (cluster as unknown as ClusterState)._groupsBySlot[slotOf(key)] ?? -1;
}
