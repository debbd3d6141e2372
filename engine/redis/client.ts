/**
 * The one factory of Redis clients: commands, subscriptions, BullMQ's two kinds. All lead to the same
 * server and follow the same rules (`connection.ts`); they differ in how long a caller waits.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import type { Redis, RedisOptions } from 'ioredis';
import { TryAgainError } from '../domain/try-again.ts';
import { parseRedisUrl, type RedisAddress } from './address.ts';
import { asCluster, clusterRunId, createCluster } from './cluster.ts';
import { createConnection, serverRunId } from './connection.ts';
import { isPermanent } from './wrong-server.ts';

/** Also stands for a client of Redis Cluster, which takes the same calls. */
export type RedisClient = Redis;

/** `REDIS_URL`, and certificates (PEM) that TLS trusts besides the well-known ones. */
export type RedisTarget = string | { url: string; ca: string | undefined };
type OnError = (error: Error) => void;

/** A command without an answer for this long fails; the caller may try again. */
const COMMAND_TIMEOUT_MS = 900;
/**
 * A connection that owes an answer and is silent for this long is half open and is replaced. Longer
 * than a command may take, and short enough to recover within 2 s of the end of a fault.
 */
const SILENT_MS = 1500;
const NODES_POLL_MS = 20;

/**
 * The ordinary connection of a process. Commands fail fast: a caller gets 503 rather than having to
 * wait. `onError` is told of lost connections.
 */
export function connectRedis(target: RedisTarget, onError: OnError): RedisClient {
  const client = open(target, onError, {
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    socketTimeout: SILENT_MS,
  });
  const coalesce = (one: Redis) => one.on('connect', () => coalesceWrites(one.stream));
  const cluster = asCluster(client);
  if (cluster) cluster.on('+node', coalesce);
  else coalesce(client);
  return client;
}

/**
 * A connection for subscriptions: it waits for Redis. After a reconnect its user subscribes again: nothing
 * catches failures of the client's own resubscribing, and a connection lost during it would end the
 * process. Nobody relies on this connection alone: comparing with the log finds what it loses.
 */
export function connectSubscriber(target: RedisTarget, onError: OnError): RedisClient {
  return open(target, onError, { enableOfflineQueue: true, autoResubscribe: false });
}

/** For handing tasks to BullMQ: a producer should fail, and be repeated, rather than wait. */
export function connectProducer(target: RedisTarget, onError: OnError): RedisClient {
  return open(target, onError, { commandTimeout: COMMAND_TIMEOUT_MS, enableOfflineQueue: false });
}

/** For taking tasks from BullMQ, which waits for Redis as long as necessary. */
export function connectConsumer(target: RedisTarget, onError: OnError): RedisClient {
  return open(target, onError, {});
}

/**
 * The name of a channel on the server of this client. Channels ignore database numbers: two deployments
 * on two numbers of one server would hear each other.
 */
export function channelOn(client: RedisClient, channel: string): string {
  const { db = 0 } = client.options;
  return db === 0 ? channel : `${db}:${channel}`;
}

/**
 * The run id of the server that this client reached; it changes with each start of a server and with a
 * failover. What Redis holds counts only under the run id that it was filled under, so data restored from
 * an older copy is never taken for current. Throws while it is not known.
 */
export function runIdOf(client: RedisClient): string {
  const cluster = asCluster(client);
  const runId = cluster ? clusterRunId(cluster) : serverRunId(client);
  if (runId === null) throw new TryAgainError('Redis is not connected');
  return runId;
}

/** Each server that takes writes: the single one, or the primaries of a Cluster. */
export function primariesOf(client: RedisClient): RedisClient[] {
  return asCluster(client)?.nodes('master') ?? [client];
}

/** Calls the listener whenever a connection to a server is lost; in a Cluster, to any node. */
export function onLost(client: RedisClient, listener: () => void): void {
  client.on('close', listener);
  asCluster(client)?.on('-node', listener);
}

function open(target: RedisTarget, onError: OnError, options: RedisOptions): RedisClient {
  const { url, ca } = typeof target === 'string' ? { url: target, ca: undefined } : target;
  const address = parseRedisUrl(url);
  const all = { ...optionsFor(address, ca), ...options };
  const client =
    address.kind === 'cluster'
      ? (createCluster(address, all) as unknown as RedisClient)
      : createConnection(all);
  client.on('error', onError);
  return client;
}

function optionsFor(address: RedisAddress, ca: string | undefined): RedisOptions {
  const { kind, nodes, username, password, db, family, primaryName } = address;
  const tls = address.tls
    ? { ...(ca !== undefined && { ca: [...rootCertificates, ca] }) }
    : undefined;
  const login = { ...(username && { username }), ...(password !== undefined && { password }) };
  if (kind === 'sentinel') {
    return {
      ...{ sentinels: [...nodes], name: primaryName, db, ...login },
      ...(tls && { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
    };
  }
  const node = kind === 'single' ? nodes[0] : {};
  return { ...node, db, family, ...login, ...(tls && { tls }) };
}

/**
 * Commands of one turn of the event loop leave in one write: a burst asks the gate hundreds of times
 * at once, and a write costs more than the command (measured: a third of a claim's CPU).
 */
function coalesceWrites(stream: Redis['stream']): void {
  const write = stream.write.bind(stream);
  let waiting = false;
  const send = () => {
    waiting = false;
    stream.uncork();
  };
  stream.write = ((...args: Parameters<typeof write>) => {
    if (!waiting) {
      waiting = true;
      stream.cork();
      setImmediate(send);
    }
    return write(...args);
  }) as typeof stream.write;
}

/**
 * Resolves when the connection is ready. Rejects after `timeoutMs` with the last error, or at once with
 * an error that waiting cannot fix.
 */
export async function whenReady(client: RedisClient, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  if (client.status !== 'ready') await connected(client, timeoutMs);
  // In a Cluster the slots are known before the nodes are connected.
  const cluster = asCluster(client);
  while (cluster && clusterRunId(cluster) === null) {
    if (performance.now() > deadline) throw new Error('a primary of the Cluster does not answer');
    await sleep(NODES_POLL_MS);
  }
}

async function connected(client: RedisClient, timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let last = new Error('Redis does not answer: is REDIS_URL right?');
  const listen = (error: Error) => {
    last = error;
    if (isPermanent(error)) reject(error);
  };
  const timer = setTimeout(() => reject(last), timeoutMs);
  client.once('ready', resolve);
  client.on('error', listen);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    client.off('ready', resolve);
    client.off('error', listen);
  }
}
