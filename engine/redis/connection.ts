/**
 * One connection to a primary of Redis, whatever it is used for. It is ready only on a server that takes
 * writes, leaves one that stops being such, and never sends a command again: what was under way when a
 * connection ends has failed, and its caller hears of it at once.
 */

import { Redis, type RedisOptions } from 'ioredis';
import { TryAgainError } from '../domain/try-again.ts';
import { createWrongServerRule } from './wrong-server.ts';

const CONNECT_TIMEOUT_MS = 2000;
/** Never more than this between two tries to reconnect. */
const RECONNECT_MAX_MS = 200;
const KEEP_ALIVE_MS = 10_000;
/** A server that loads its data is asked again after this. */
const LOADING_RETRY_MS = 200;
/** What is not ready so long after it connected is left: its name may lead elsewhere by now. */
const READY_MS = 2000;

/** Of `INFO`, as far as it is looked at. */
interface ServerInfo {
  role?: string;
  run_id?: string;
}

const runIds = new WeakMap<Redis, string>();

/**
 * The run id of the server that this connection reached: another one after each start of a server
 * and after a failover. What Redis holds counts only under the run id that it was filled under, so
 * data that came back from an older copy is never taken for current.
 */
export function runIdOf(client: Redis): string {
  const runId = runIds.get(client);
  if (runId === undefined) throw new TryAgainError('Redis is not connected');
  return runId;
}

/** Begins to connect at once, and again whenever the connection is lost. */
export function createConnection(options: RedisOptions): Redis {
  return create(options, new Set());
}

/** `relatives` lead to the same server, and leave it together. */
function create(options: RedisOptions, relatives: Set<Redis>): Redis {
  const isWrong = createWrongServerRule();
  const rules: RedisOptions = {
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: KEEP_ALIVE_MS,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
    maxLoadingRetryTime: LOADING_RETRY_MS,
    retryStrategy: (attempt: number) => Math.min(RECONNECT_MAX_MS, 20 * attempt),
    ...options,
    // `true`: reconnect, and tell the caller; 2 would send the command again.
    reconnectOnError(error) {
      if (!isWrong(error)) return false;
      for (const one of relatives) if (one.status === 'ready') one.disconnect(true);
      return true;
    },
  };
  const client = new Redis({ ...rules, replyMapping: 'legacy' });
  askWhoAnswers(client);
  leaveWhenNeverReady(client);
  failWhatIsUnderWay(client);
  keepToTheDatabase(client);
  relatives.add(client);
  client.once('end', () => relatives.delete(client));
  // BullMQ makes its blocking connections this way. What one of them hears, a task to be fetched, would
  // be lost if the other were still asked on a server that was demoted.
  client.duplicate = ((override?: Partial<RedisOptions>) =>
    create({ ...client.options, ...override }, relatives)) as typeof client.duplicate;
  return client;
}

/** The client's own readiness check asks `INFO`; by its answer a replica is turned away. */
function askWhoAnswers(client: Redis): void {
  const { connector } = client as unknown as { connector: { check(info: ServerInfo): boolean } };
  const check = connector.check.bind(connector);
  connector.check = (info) => {
    if (!info.run_id) {
      client.emit('error', new Error('NOPERM this user may not ask Redis for INFO'));
      return false;
    }
    if (info.role === 'slave' || !check(info)) {
      client.emit('error', new Error('READONLY this Redis is a replica, its primary is needed'));
      return false;
    }
    runIds.set(client, info.run_id);
    return true;
  };
  client.on('connect', () => runIds.delete(client));
}

function leaveWhenNeverReady(client: Redis): void {
  let timer: NodeJS.Timeout | undefined;
  client.on('connect', () => {
    clearTimeout(timer);
    timer = setTimeout(() => client.disconnect(true), READY_MS).unref();
  });
  for (const event of ['ready', 'close', 'end']) client.on(event, () => clearTimeout(timer));
}

/** Without this they would wait for an answer that another connection never gives. */
function failWhatIsUnderWay(client: Redis): void {
  const { flushQueue } = client as unknown as {
    flushQueue(error: Error, which: { offlineQueue: boolean }): void;
  };
  client.on('close', () => {
    flushQueue.call(client, new Error('Connection is closed.'), { offlineQueue: false });
  });
}

/** The client would go on with database 0, which may be another deployment's. */
function keepToTheDatabase(client: Redis): void {
  client.on('error', (error: Error & { command?: { name?: string } }) => {
    if (error.command?.name === 'select') client.disconnect(true);
  });
}
