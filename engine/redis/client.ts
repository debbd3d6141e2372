/**
 * The one factory of Redis clients: commands, subscriptions, BullMQ's two kinds. All lead to the same
 * place and obey the same rules (`connection.ts`); they differ in how long a caller waits.
 */
import { rootCertificates } from 'node:tls';
import type { Redis, RedisOptions } from 'ioredis';
import { parseRedisUrl, type RedisAddress } from './address.ts';
import { createConnection } from './connection.ts';
import { isHopeless } from './wrong-server.ts';

export { runIdOf } from './connection.ts';

export type RedisClient = Redis;

/** `REDIS_URL`, and the certificates that TLS trusts besides the well-known ones (PEM). */
export type RedisTarget = string | { url: string; ca: string | undefined };
type OnError = (error: Error) => void;

/** A command without an answer for so long is given up; the caller may try again. */
const COMMAND_TIMEOUT_MS = 900;
/**
 * A connection that owes an answer and is silent for so long is half open: another one is made.
 * Above the time of a command, and early enough to be right within 2 s of the end of a fault.
 */
const SILENT_MS = 1500;

/**
 * The ordinary connection of a process. Commands fail fast: a caller is told 503 rather than kept
 * waiting. `onError` hears of lost connections.
 */
export function connectRedis(target: RedisTarget, onError: OnError): RedisClient {
  const client = open(target, onError, {
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    socketTimeout: SILENT_MS,
  });
  client.on('connect', () => coalesceWrites(client.stream));
  return client;
}

/**
 * A connection for subscriptions: it waits for Redis and subscribes again after a reconnect.
 * Nobody relies on it alone: what it loses is found by comparing with the log.
 */
export function connectSubscriber(target: RedisTarget, onError: OnError): RedisClient {
  return open(target, onError, { enableOfflineQueue: true, autoResubscribe: true });
}

/** For handing tasks to BullMQ: a producer would rather fail, and be repeated, than wait. */
export function connectProducer(target: RedisTarget, onError: OnError): RedisClient {
  return open(target, onError, { commandTimeout: COMMAND_TIMEOUT_MS, enableOfflineQueue: false });
}

/** For taking tasks from BullMQ, which waits for Redis for as long as it takes. */
export function connectConsumer(target: RedisTarget, onError: OnError): RedisClient {
  return open(target, onError, {});
}

/**
 * The name of a channel on the server of this client. Channels know no databases: two deployments on
 * two database numbers of one server would hear each other.
 */
export function channelOn(client: RedisClient, channel: string): string {
  const { db = 0 } = client.options;
  return db === 0 ? channel : `${db}:${channel}`;
}

function open(target: RedisTarget, onError: OnError, options: RedisOptions): RedisClient {
  const { url, ca } = typeof target === 'string' ? { url: target, ca: undefined } : target;
  const client = createConnection({ ...optionsFor(parseRedisUrl(url), ca), ...options });
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
  const [{ host, port }] = nodes as [{ host: string; port: number }];
  return { host, port, db, family, ...login, ...(tls && { tls }) };
}

/**
 * Commands of one turn of the event loop leave in one write: a burst asks the gate hundreds of times
 * at once, and each write costs more than the command (measured: a third of a claim's CPU).
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
 * Resolves when the connection is ready. Rejects after `timeoutMs` with what went wrong last, or at once
 * with what waiting does not mend.
 */
export async function whenReady(client: RedisClient, timeoutMs: number): Promise<void> {
  if (client.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let last = new Error('Redis does not answer: is REDIS_URL right?');
  const listen = (error: Error) => {
    last = error;
    if (isHopeless(error)) reject(error);
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
