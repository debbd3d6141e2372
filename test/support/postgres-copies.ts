/** A Postgres of a test's own that goes back: by a dump that is restored, or a standby that lacks a tail. */

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { inject } from 'vitest';
import { migrate } from '../../engine/pg/migrate.ts';
import { type PostgresServer, startPostgres } from '../../scripts/dev/postgres.ts';
import { postgresHome } from '../../scripts/dev/postgres-home.ts';
import { startSwitch } from './switch.ts';
import { until } from './until.ts';

/** Runs statements one after the other, each by itself, on the database `postgres` of that server. */
async function asAdmin(url: string, ...statements: string[]): Promise<void> {
  const admin = postgres(new URL('/postgres', url).href, { max: 1, onnotice: () => {} });
  try {
    for (const statement of statements) await admin.unsafe(statement);
  } finally {
    await admin.end();
  }
}

const nameOf = (url: string) => new URL(url).pathname.slice(1);
const leave = (name: string) =>
  `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`;

/**
 * Copies a database that is in use as it is now; what is returned puts it back to that. As a dump and its
 * restore it leaves server, timeline and write-ahead log as they are.
 */
export async function dumpOf(url: string): Promise<() => Promise<void>> {
  const name = nameOf(url);
  const dump = `dump_${randomBytes(6).toString('hex')}`;
  // A template may not be in use: its users are sent away, and come back.
  const copy = (to: string, from: string) =>
    until(async () => {
      await asAdmin(url, leave(from), `create database ${to} template ${from}`);
      return true;
    });
  await copy(dump, name);
  return async () => {
    await asAdmin(url, `drop database ${name} with (force)`);
    await copy(name, dump);
  };
}

export interface Replicated {
  /** Leads to the primary, whichever that is. */
  url: string;
  /** Of the first primary, then of its standby. */
  ports: readonly [number, number];
  /** Nothing reaches the standby any more. */
  cutOff(): Promise<void>;
  /** The primary is gone, and the standby, as it is, takes its place. */
  failOver(): Promise<void>;
  stop(): Promise<void>;
}

/** A primary with the current schema, and a standby that streams from it. */
export async function startReplicated(): Promise<Replicated> {
  const [dir, standbyDir] = [newDir(), newDir()];
  let primary = await startPostgres({ dir });
  await migrate(primary.url);
  await primary.stop();
  await copyCluster(dir, standbyDir, primary);
  primary = await startPostgres({ dir, port: primary.port });
  const standby = await startPostgres({ dir: standbyDir });
  const address = await startSwitch(primary.port);
  const url = new URL(primary.url);
  url.port = String(address.port);
  await until(() => receives(standby.url, true), { timeoutMs: 60_000 });
  return {
    url: url.href,
    ports: [primary.port, standby.port],
    async cutOff() {
      await until(() => isCaughtUp(primary.url, standby.url));
      await asAdmin(
        standby.url,
        `alter system set primary_conninfo = ''`,
        'select pg_reload_conf()',
      );
      await until(() => receives(standby.url, false));
    },
    async failOver() {
      await primary.kill();
      await asAdmin(standby.url, 'select pg_promote()');
      address.pointAt(standby.port);
    },
    async stop() {
      address.close();
      await Promise.all([primary.stop(), standby.stop()]);
    },
  };
}

const newDir = () => path.join(inject('suiteDir'), `postgres-${randomBytes(6).toString('hex')}`);

/** The files of a server that is stopped, made into those of its standby. */
async function copyCluster(from: string, to: string, primary: PostgresServer): Promise<void> {
  const [source, target] = [await postgresHome(from, () => {}), await postgresHome(to, () => {})];
  const [data, copy] = [source, target].map(({ dir }) => path.join(dir, 'data')) as [
    string,
    string,
  ];
  // With its owner and rights, which Postgres insists on.
  const { status } = spawnSync('cp', ['-a', data, copy]);
  if (status !== 0) throw new Error(`cannot copy ${data}`);
  cpSync(source.passwordFile, target.passwordFile);
  const { username, password, port } = new URL(primary.url);
  const conninfo = `host=127.0.0.1 port=${port} user=${username} password=${password}`;
  // Written over a file that is there already, so that it stays the server's.
  writeFileSync(path.join(copy, 'standby.signal'), '', { mode: 0o644 });
  appendFileSync(path.join(copy, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
}

async function one<T>(url: string, query: string): Promise<T | undefined> {
  const client = postgres(new URL('/postgres', url).href, { max: 1 });
  try {
    const [row] = await client.unsafe<{ value: T }[]>(query);
    return row?.value;
  } finally {
    await client.end();
  }
}

async function receives(standby: string, wanted: boolean): Promise<boolean> {
  const found = await one<number>(
    standby,
    'select count(*)::int as value from pg_stat_wal_receiver',
  );
  return (found === 1) === wanted;
}

async function isCaughtUp(primary: string, standby: string): Promise<boolean> {
  const at = await one<string>(primary, 'select pg_current_wal_lsn()::text as value');
  const query = `select pg_last_wal_replay_lsn() >= '${at}'::pg_lsn as value`;
  return (await one<boolean>(standby, query)) === true;
}
