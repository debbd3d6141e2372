/**
 * The connection to Redis. Commands fail fast: a caller is told 503 rather than kept waiting, and
 * nothing is sent again behind its back after a reconnect.
 */
import { Redis } from 'ioredis';

export type RedisClient = Redis;

/** A command without an answer for so long is given up; the caller may try again. */
const COMMAND_TIMEOUT_MS = 900;
const CONNECT_TIMEOUT_MS = 2000;
/** Never more than this between two tries to reconnect. */
const RECONNECT_MAX_MS = 200;
const KEEP_ALIVE_MS = 10_000;
/**
 * A connection that owes an answer and is silent for so long is half open: another one is made.
 * Above the time of a command, and early enough to be right within 2 s of the end of a fault.
 */
const SILENT_MS = 1500;

const runIds = new WeakMap<RedisClient, string>();

/** The ordinary connection of a process. `onError` hears of lost connections. */
export function connectRedis(url: string, onError: (error: Error) => void): RedisClient {
  return open(url, onError, {
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    socketTimeout: SILENT_MS,
  });
}

/**
 * The run id of the server that this connection reached: another one after each start of a server
 * and after a failover. What Redis holds counts only under the run id that it was filled under, so
 * data that came back from an older copy is never taken for current.
 */
export function runIdOf(client: RedisClient): string {
  const runId = runIds.get(client);
  if (runId === undefined) throw new Error('Redis is not connected');
  return runId;
}

/**
 * A connection for subscriptions: it waits for Redis and subscribes again after a reconnect.
 * Nobody relies on it alone: what it loses is found by comparing with the log.
 */
export function connectSubscriber(url: string, onError: (error: Error) => void): RedisClient {
  return open(url, onError, { enableOfflineQueue: true, autoResubscribe: true });
}

function open(url: string, onError: (error: Error) => void, options: object): RedisClient {
  const client = new Redis(url, {
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: KEEP_ALIVE_MS,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    retryStrategy: (attempt: number) => Math.min(RECONNECT_MAX_MS, 20 * attempt),
    ...options,
  });
  client.on('error', onError);
  // Asked for before the client's own readiness check, so answered before it says `ready`. An
  // answer, or its lack, counts only for the connection on which it was asked.
  let connection = 0;
  client.on('close', () => {
    connection++;
  });
  client.on('connect', () => {
    coalesceWrites(client.stream);
    runIds.delete(client);
    const asked = connection;
    client.info('server').then(
      (info) => asked === connection && runIds.set(client, /^run_id:(\w+)/m.exec(info)?.[1] ?? ''),
      () => asked === connection && client.disconnect(true),
    );
  });
  return client;
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

/** Resolves when the connection is ready, rejects after `timeoutMs`. */
export async function whenReady(client: RedisClient, timeoutMs: number): Promise<void> {
  if (client.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error('Redis does not answer: is REDIS_URL right?')),
    timeoutMs,
  );
  client.once('ready', resolve);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    client.off('ready', resolve);
  }
}
