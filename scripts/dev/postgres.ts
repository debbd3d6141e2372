/**
 * A PostgreSQL server of our own on a free port of 127.0.0.1, with a database `muster`. One data
 * folder has one server: an orphan of a killed parent is stopped, its stale files are removed.
 * Called by the stack and by tests.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { lastLine, type ManagedProcess, spawnManaged, stopOrphan } from './managed-process.ts';
import { type Log, logToStderr } from './places.ts';
import { freePort } from './ports.ts';
import { createCluster } from './postgres-cluster.ts';
import { type PostgresHome, postgresHome } from './postgres-home.ts';
import { commandLine } from './process-table.ts';

export interface PostgresServer {
  url: string;
  port: number;
  pid: number;
  /** How it ended, in words; pending while it runs. */
  exited: Promise<string>;
  stop(): Promise<void>;
  /** As a crash would: the next start recovers from the write-ahead log. */
  kill(): Promise<void>;
}

export interface PostgresOptions {
  dir: string;
  port?: number;
  /** False: faster, and the data does not survive a crash of the machine. */
  durable?: boolean;
  log?: Log;
  signal?: AbortSignal | undefined;
}

/** Recovery after a crash reads the write-ahead log since the last checkpoint. */
const READY_LIMIT_MS = 60_000;
const POLL_MS = 50;
export const POSTGRES_STOP_LIMIT_MS = 4000;
/** Somebody else may take the free port before Postgres does. */
const PORT_TRIES = 3;
/** Twenty per process for a handful of processes, and those of tests. */
const MAX_CONNECTIONS = 300;
/** Fast shutdown, then immediate: SIGTERM would wait for clients to leave. */
const SIGNALS = ['SIGINT', 'SIGQUIT'] as const;

/** Starts it and waits until it answers. Throws one sentence when it does not come up. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { log = logToStderr, signal } = options;
  const home = await postgresHome(path.resolve(options.dir), log, signal);
  const data = path.join(home.dir, 'data');
  const durable = options.durable ?? true;
  await stopOrphanIn(data);
  const password = await createCluster(home, data, { durable, signal });
  for (let tries = options.port ? 1 : PORT_TRIES; tries > 0; tries -= 1) {
    const port = options.port ?? (await freePort());
    const server = await spawnPostgres(home, data, port, durable);
    const url = `postgres://muster:${password}@127.0.0.1:${port}/muster`;
    if (await comesUp(server, url)) {
      return {
        url,
        port,
        pid: server.pid,
        exited: server.exited,
        stop: () => server.stop(POSTGRES_STOP_LIMIT_MS),
        kill: () => server.kill(),
      };
    }
    await server.kill();
  }
  // Lines after the cause only say that the server was shut down.
  const cause = lastLine(home.logFile, /FATAL|PANIC/);
  throw new Error(`PostgreSQL did not start: ${cause} (${home.logFile})`);
}

/**
 * Stops the server that a killed parent left on this data folder. A pid file whose process is
 * gone, or is somebody else by now, is removed: PostgreSQL itself would refuse to start over it.
 */
async function stopOrphanIn(data: string): Promise<void> {
  const pidFile = path.join(data, 'postmaster.pid');
  const pid = readPid(pidFile);
  if (pid !== undefined && commandLine(pid).includes(data)) {
    await stopOrphan(pid, SIGNALS, POSTGRES_STOP_LIMIT_MS);
  }
  rmSync(pidFile, { force: true });
}

function spawnPostgres(
  home: PostgresHome,
  data: string,
  port: number,
  durable: boolean,
): Promise<ManagedProcess> {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: String(MAX_CONNECTIONS),
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return spawnManaged({
    command: path.join(home.bin, 'postgres'),
    args: [
      '-D',
      data,
      ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    cwd: data,
    account: home.account,
    logFile: home.logFile,
    signals: SIGNALS,
  });
}

async function comesUp(server: ManagedProcess, url: string): Promise<boolean> {
  let ended = false;
  void server.exited.then(() => {
    ended = true;
  });
  const deadline = Date.now() + READY_LIMIT_MS;
  while (!ended && Date.now() < deadline) {
    if (await hasDatabase(url)) return true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}

/** Is the database there? It is created when only the server is. */
async function hasDatabase(url: string): Promise<boolean> {
  const client = postgres(new URL('/postgres', url).href, {
    max: 1,
    connect_timeout: 2,
    onnotice: () => {},
  });
  try {
    const rows = await client`select from pg_database where datname = 'muster'`;
    if (rows.length === 0) await client`create database muster`;
    return true;
  } catch {
    return false;
  } finally {
    await client.end({ timeout: 1 });
  }
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}
