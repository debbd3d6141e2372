/**
 * A Redis server of our own on a free port of 127.0.0.1. One data folder has one server: an orphan
 * that a killed parent left on it is stopped first. Called by the stack and by tests.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { lastLine, type ManagedProcess, spawnManaged, stopOrphan } from './managed-process.ts';
import { type Log, logToStderr } from './places.ts';
import { freePort } from './ports.ts';
import { commandLine } from './process-table.ts';
import { redisBinary } from './redis-binary.ts';

export interface RedisServer {
  url: string;
  port: number;
  pid: number;
  /** How it ended, in words; pending while it runs. */
  exited: Promise<string>;
  stop(): Promise<void>;
  /** As a crash would: nothing is saved. */
  kill(): Promise<void>;
}

export interface RedisOptions {
  dir: string;
  /** Keep the data in `dir`, at most a second behind; otherwise it is lost with the process. */
  persist?: boolean;
  port?: number;
  /** Without it clients need no password. */
  password?: string;
  log?: Log;
  signal?: AbortSignal | undefined;
}

/** The longest time to read a large append-only file back. */
const READY_LIMIT_MS = 30_000;
const POLL_MS = 20;
export const REDIS_STOP_LIMIT_MS = 2000;
/** Somebody else may take the free port before Redis does. */
const PORT_TRIES = 3;
const SIGNALS = ['SIGTERM', 'SIGKILL'] as const;

/** Starts it and waits until it answers. Throws one sentence when it does not come up. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const dir = path.resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const binary = await redisBinary(options.log ?? logToStderr, options.signal);
  await stopOrphanIn(dir);
  const logFile = path.join(dir, 'redis.log');
  for (let tries = options.port ? 1 : PORT_TRIES; tries > 0; tries -= 1) {
    const port = options.port ?? (await freePort());
    const server = await spawnManaged({
      ...binary,
      args: [writeSettings(dir, port, options)],
      cwd: dir,
      logFile,
      signals: SIGNALS,
    });
    if (await comesUp(server, port, options.password)) {
      const login = options.password ? `default:${options.password}@` : '';
      return {
        url: `redis://${login}127.0.0.1:${port}`,
        port,
        pid: server.pid,
        exited: server.exited,
        stop: () => server.stop(REDIS_STOP_LIMIT_MS),
        kill: () => server.kill(),
      };
    }
    await server.kill();
  }
  throw new Error(`Redis did not start: ${lastLine(logFile)} (${logFile})`);
}

/** Stops the server that a killed parent left on this folder, if there is one. */
export async function stopOrphanIn(dir: string): Promise<void> {
  const pid = readPid(path.join(dir, 'redis.pid'));
  if (pid !== undefined && commandLine(pid).includes(dir)) {
    await stopOrphan(pid, SIGNALS, REDIS_STOP_LIMIT_MS);
  }
}

/** Writes the configuration to a file, because everybody may read a command line. Returns its path. */
function writeSettings(dir: string, port: number, { persist, password }: RedisOptions): string {
  const settings: Record<string, string> = {
    bind: '127.0.0.1',
    port: String(port),
    dir,
    pidfile: path.join(dir, 'redis.pid'),
    // Keep the folder in the command line, by which an orphan is recognised.
    'set-proc-title': 'no',
    save: '',
    appendonly: persist ? 'yes' : 'no',
    appendfsync: 'everysec',
    // BullMQ and the projection must never lose a key to memory pressure.
    'maxmemory-policy': 'noeviction',
    ...(password ? { requirepass: password } : {}),
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  const file = path.join(dir, 'redis.conf');
  rmSync(file, { force: true });
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  return file;
}

async function comesUp(
  server: ManagedProcess,
  port: number,
  password: string | undefined,
): Promise<boolean> {
  let ended = false;
  void server.exited.then(() => {
    ended = true;
  });
  const deadline = Date.now() + READY_LIMIT_MS;
  while (!ended && Date.now() < deadline) {
    if (await answersAs(server.pid, port, password)) return true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}

/** Is it our process that answers there, with its data loaded? */
async function answersAs(
  pid: number,
  port: number,
  password: string | undefined,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = net.connect(port, '127.0.0.1');
  let said = '';
  socket.setTimeout(1000, () => resolve(false));
  socket.on('error', () => resolve(false));
  socket.on('close', () => resolve(false));
  socket.on('data', (data) => {
    said += data.toString('latin1');
    if (said.startsWith('-') || said.includes('\r\n-')) resolve(false);
    if (said.includes('+PONG\r\n') && said.includes(`process_id:${pid}\r\n`)) resolve(true);
  });
  const login = password ? `AUTH ${password}\r\n` : '';
  socket.write(`${login}PING\r\nINFO server\r\n`);
  const answer = await promise;
  socket.destroy();
  return answer;
}

/** The pid that a server wrote into a file; undefined when there is none. */
function readPid(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}
