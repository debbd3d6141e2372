/**
 * One connection to a Redis primary, whatever it is used for. It is ready only on a server that takes
 * writes, leaves a server that stops doing so, and never sends a command again: what was under way when
 * the connection ends has failed, and its caller is told at once.
 */

import { Redis, type RedisOptions } from 'ioredis';
import { leaveReplacedPrimary } from './failovers.ts';
import { createWrongServerRule } from './wrong-server.ts';

const CONNECT_TIMEOUT_MS = 2000;
/** The longest pause between two tries to reconnect. */
const RECONNECT_MAX_MS = 200;
const KEEP_ALIVE_MS = 10_000;
/** How soon a server that is loading its data is asked again. */
const LOADING_RETRY_MS = 200;
/** A server that is not ready this long after connecting is left: its name may lead elsewhere by now. */
const READY_MS = 2000;

/** The fields of `INFO` that are used. */
interface ServerInfo {
  role?: string;
  run_id?: string;
}

const runIds = new WeakMap<Redis, string>();

/** The run id of the server that this connection reached; null while it is not known. */
export function serverRunId(client: Redis): string | null {
  return runIds.get(client) ?? null;
}

/** Begins to connect at once, and again whenever the connection is lost. */
export function createConnection(options: RedisOptions): Redis {
  return create(options, new Set());
}

/** `relatives` are connections to the same server, which leave it together. */
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
  if (options.sentinels) leaveReplacedPrimary(client);
  relatives.add(client);
  client.once('end', () => relatives.delete(client));
  // BullMQ makes its blocking connections this way. If one of them learns of a task and the other is still
  // connected to a demoted server, the task would be lost.
  client.duplicate = ((override?: Partial<RedisOptions>) =>
    create({ ...client.options, ...override }, relatives)) as typeof client.duplicate;
  return client;
}

/** The client's own readiness check asks `INFO`; the answer is used to turn a replica away. */
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

/** Otherwise they would wait for an answer that the next connection never gives. */
function failWhatIsUnderWay(client: Redis): void {
  const { flushQueue } = client as unknown as {
    flushQueue(error: Error, which: { offlineQueue: boolean }): void;
  };
  client.on('close', () => {
    flushQueue.call(client, new Error('Connection is closed.'), { offlineQueue: false });
  });
}

/** The client would go on with database 0, which may belong to another deployment. */
function keepToTheDatabase(client: Redis): void {
  client.on('error', (error: Error & { command?: { name?: string } }) => {
    if (error.command?.name === 'select') client.disconnect(true);
  });
}
