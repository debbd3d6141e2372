/** Single Redis servers with settings of their own. From the suite's binary. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { type ManagedProcess, spawnManaged } from '../../scripts/dev/managed-process.ts';
import { freePort } from '../../scripts/dev/ports.ts';
import { signal } from '../../scripts/dev/process-table.ts';
import { redisBinary } from '../../scripts/dev/redis-binary.ts';
import { until } from './until.ts';

export interface Server {
  port: number;
  url: string;
  kill(): Promise<void>;
  /** Killed, and started again on its port, with what is in its folder. */
  restart(): Promise<void>;
  /** Answers nothing until `thaw`. */
  freeze(): void;
  thaw(): void;
}

/** A server with these lines of `redis.conf` besides; ready when it answers. */
export async function startServer(
  lines: readonly string[] = [],
  options: { port?: number; sentinel?: boolean } = {},
): Promise<Server> {
  const port = options.port ?? (await freePort());
  const dir = path.join(inject('suiteDir'), `redis-${randomBytes(6).toString('hex')}`);
  mkdirSync(dir, { recursive: true });
  const conf = path.join(dir, 'redis.conf');
  const own = [`port ${port}`, `dir ${dir}`, 'bind 127.0.0.1', 'protected-mode no'];
  const data = options.sentinel ? [] : ['save ""', 'appendonly no'];
  writeFileSync(conf, `${[...own, ...data, ...lines].join('\n')}\n`);
  let server: ManagedProcess;
  const start = async () => {
    server = await spawnManaged({
      ...(await redisBinary(() => {})),
      args: [conf, ...(options.sentinel ? ['--sentinel'] : [])],
      cwd: dir,
      logFile: path.join(dir, 'redis.log'),
      signals: ['SIGTERM', 'SIGKILL'],
    });
    if (port !== 0) await until(() => ask({ port }, 'PING'), { what: `Redis on ${port}` });
  };
  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill: () => server.kill(),
    async restart() {
      await server.kill();
      await start();
    },
    freeze: () => signal(server.pid, 'SIGSTOP'),
    thaw: () => signal(server.pid, 'SIGCONT'),
  };
}

/** One call over a connection of its own. */
export async function ask(
  { port }: { port: number },
  command: string,
  ...args: (string | number)[]
): Promise<unknown> {
  const client = new Redis(port, '127.0.0.1', { retryStrategy: null, enableReadyCheck: false });
  client.on('error', () => {});
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}
