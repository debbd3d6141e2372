/** PgBouncer in transaction mode in front of a database, where the machine has one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { inject } from 'vitest';
import { freePort } from '../../scripts/dev/ports.ts';
import { until } from './until.ts';

/** Where the program is; undefined on a machine without it. */
export function findPgBouncer(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => path.join(folder, 'pgbouncer')).find((file) => existsSync(file));
}

/** A database without a schema. */
export async function emptyDatabase(): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const admin = postgres(inject('postgresUrl'), { max: 1 });
  await admin.unsafe(`create database ${name}`);
  await admin.end();
  return new URL(`/${name}`, inject('postgresUrl')).href;
}

/** Lends few sessions of the user in `target`, one transaction at a time. */
export async function startPgBouncer(
  target: string,
  program: string,
  settings: readonly string[] = [],
) {
  const { hostname, port, username, password, pathname } = new URL(target);
  const name = pathname.slice(1);
  const listen = await freePort();
  const dir = mkdtempSync(path.join(tmpdir(), 'muster-pgbouncer-'));
  chmodSync(dir, 0o755);
  const conf = path.join(dir, 'pgbouncer.ini');
  const login = `user=${username} password='${decodeURIComponent(password)}'`;
  const lines = [
    '[databases]',
    `${name} = host=${hostname} port=${port} dbname=${name} ${login}`,
    '[pgbouncer]',
    `listen_addr = 127.0.0.1`,
    `listen_port = ${listen}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'default_pool_size = 4',
    ...settings,
  ];
  writeFileSync(conf, `${lines.join('\n')}\n`, { mode: 0o644 });
  // It does not run as root.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child: ChildProcess = spawn(program, [...user, conf], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const url = new URL(target);
  [url.hostname, url.port] = ['127.0.0.1', String(listen)];
  await until(async () => {
    const client = postgres(url.href, { max: 1, prepare: false, connect_timeout: 2 });
    try {
      return (await client`select 1 as one`).length === 1;
    } finally {
      await client.end({ timeout: 1 });
    }
  });
  return {
    url: url.href,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      rmSync(dir, { recursive: true });
    },
  };
}
