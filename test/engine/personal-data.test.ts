/**
 * What is held of one user, told and erased: afterwards neither a dump of Postgres nor any key of Redis
 * holds his id or his texts, and everybody else's are as they were.
 */
import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobRow } from '../../engine/domain/job.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { createPushQueues, type PushQueues } from '../../workers/queues.ts';
import { candidatesOf } from '../support/candidates.ts';
import { silentLog, startTestEngine, type TestEngine } from '../support/engine.ts';
import { dumpRedis } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';

/** Its texts are found nowhere else, and its id is the beginning of another's. */
const USER = 'zoe-4711';
const OTHER = 'zoe-47';
/** A process of its own starts slowly on a busy machine. */
const SCRIPT_MS = 120_000;
const TEXTS = [
  '77 Elm Grove',
  'Ring twice at Zoës',
  'Zoë Quirk',
  'my own reason',
  'key-of-zoe-4711',
];

let t: TestEngine;
let queues: PushQueues;
beforeAll(async () => {
  t = await startTestEngine({}, undefined, undefined, (redisUrl) => {
    queues = createPushQueues(redisUrl, silentLog);
    return queues.tasks;
  });
});
afterAll(() => queues.close());

/** Every row of every table as text. */
async function dump(): Promise<string> {
  const tables = await t.ctx.db.execute<{ name: string }>(sql`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'`);
  const parts = tables.map(async ({ name }) => {
    const rows = await t.ctx.db.execute<{ row: object }>(
      sql`select to_jsonb(r) as row from ${sql.identifier(name)} r`,
    );
    return rows.map(({ row }) => `${name} ${JSON.stringify(row)}`).join('\n');
  });
  return (await Promise.all(parts)).join('\n');
}

const mentions = (text: string, id: string) =>
  text.split('\n').filter((line) => new RegExp(`(?<![\\w-])${id}(?![\\w-])`).test(line));

/** A life as a customer, a driver and an operator, with a namesake beside. */
async function live(): Promise<{ open: JobRow; held: JobRow; otherOpen: JobRow }> {
  const { db } = t.ctx;
  const post = (customerId: string, address: string, notes: string | null = null) =>
    t.post({
      ...{ customerId, address, notes, actor: `customer:${customerId}` },
      idempotency: {
        sub: customerId,
        key: `key-of-${customerId} ${address}`,
        body: {},
      },
    });
  await t.driver(OTHER);
  await t.driver(USER);
  await t.engine.drivers.change(USER, {
    name: 'Zoë Quirk',
    truckType: 'van',
    by: `driver:${USER}`,
  });
  await t.engine.drivers.change(OTHER, {
    truckType: 'van',
    by: `operator:${USER}`,
    reason: 'my own reason',
  });
  const open = await post(USER, '77 Elm Grove', 'Ring twice at Zoës');
  const held = await post(USER, '77 Elm Grove 2');
  const otherOpen = await post(OTHER, '1 Other St');
  const done = await post(OTHER, '2 Other St');
  const declined = await post(OTHER, '3 Other St');
  for (const { id } of [open, held, otherOpen, done, declined]) {
    await until(async () => (await candidatesOf(db, id)).length === 2);
  }
  expect(await t.engine.jobs.claim(held.id, OTHER)).toMatchObject({ ok: true });
  expect(await t.engine.jobs.claim(done.id, USER)).toMatchObject({ ok: true });
  await t.engine.jobs.progress(done.id, USER, 'completed');
  await t.engine.jobs.decline(declined.id, USER, 'my own reason');
  await db.execute(sql`
    insert into job_deliveries (job_id, driver_ids) values (${otherOpen.id}, ${`{${USER},${OTHER}}`})`);
  await db.execute(sql`
    insert into deliveries (job_id, gateway, driver_ids, after_ms)
    values (${otherOpen.id}, 'g', ${`{${USER},${OTHER}}`}, '{0,5}')`);
  // To both candidates of the wave: what is known of the other's phone is to stay.
  await db.execute(sql`
    insert into push_windows (job_id, wave, first_place, places, after_ms, suffixes)
    values (${otherOpen.id}, 1, 0, '{0,1}', '{0,0}', '{4711,4711}')`);
  await t.engine.devices.register({
    userId: USER,
    app: 'driver',
    environment: 'sandbox',
    token: 'ab12'.repeat(8),
  });
  return { open, held, otherOpen };
}

describe('one user', () => {
  let jobs: Awaited<ReturnType<typeof live>>;
  beforeAll(async () => {
    jobs = await live();
  });
  const script = (name: string, ...args: string[]) => {
    const file = fileURLToPath(new URL(`../../scripts/${name}.ts`, import.meta.url));
    const env = {
      ...process.env,
      ...{ DATABASE_URL: t.databaseUrl, REDIS_URL: t.redisUrl, AUTH_JWT_SECRET: 's'.repeat(32) },
    };
    return promisify(execFile)(process.execPath, [file, ...args], { env });
  };

  it('is told all, as JSON Lines that only their owner may read, with times in UTC', {
    timeout: SCRIPT_MS,
  }, async () => {
    const out = path.join(await mkdtemp(path.join(tmpdir(), 'muster-export-')), 'zoe.jsonl');
    const database = new URL(t.databaseUrl).pathname.slice(1);
    await t.ctx.db.execute(sql.raw(`alter database "${database}" set timezone = 'Asia/Kolkata'`));
    await script('export', '--user', USER, '--out', out);
    const lines = readFileSync(out, 'utf8').trimEnd().split('\n');
    const parts = new Set(lines.map((line) => (JSON.parse(line) as { from: string }).from));
    for (const table of ['drivers', 'jobs', 'job_events', 'driver_events', 'driver_positions']) {
      expect([...parts]).toContain(table);
    }
    for (const text of TEXTS) expect(lines.join('\n')).toContain(text);
    const offsets = lines.flatMap(
      (line) => line.match(/(?<=T\d\d:\d\d:[\d.]+)[^\d."]+\d\d:\d\d/g) ?? [],
    );
    expect(new Set(offsets)).toEqual(new Set(['+00:00']));
    // What others wrote is theirs.
    expect(lines.join('\n')).not.toContain('Other St');
    expect(statSync(out).mode & 0o777).toBe(0o600);
  });

  it('is told in one line that the disk is full', { timeout: SCRIPT_MS }, async () => {
    const said = 'muster export: cannot write /dev/full (ENOSPC)\n';
    await expect(script('export', '--user', USER, '--out', '/dev/full')).rejects.toMatchObject({
      code: 1,
      stderr: said,
    });
  });

  it('is refused while he holds a job', { timeout: SCRIPT_MS }, async () => {
    const { id } = await t.post();
    expect(await t.engine.jobs.claim(id, USER)).toMatchObject({ ok: true });
    await expect(script('erase', '--user', USER)).rejects.toMatchObject({
      stderr: expect.stringContaining(`refused: ${USER} holds ${id}`),
    });
    expect(mentions(await dump(), USER).length).toBeGreaterThan(0);
    expect(await t.engine.users.isBlocked(USER)).toBe(false);
    await t.engine.jobs.progress(id, USER, 'completed');
  });

  it('is erased everywhere, and nobody else is', { timeout: SCRIPT_MS }, async () => {
    const before = mentions(await dump(), OTHER).length;
    // As a worker would: all pushes have their outcome at once.
    const worker = setInterval(
      () =>
        void t.ctx.db.execute(sql`
      update notifications set done_at = now() where done_at is null`),
      100,
    );
    const { stdout } = await script('erase', '--user', USER).finally(() => clearInterval(worker));
    expect(stdout).toContain('jobs cancelled: 2');
    const [rows, redis] = [await dump(), await dumpRedis(t.ctx.redis)];
    for (const text of [...TEXTS, 'ab12ab12']) {
      expect(rows).not.toContain(text);
      expect(redis).not.toContain(text);
    }
    expect(mentions(rows, USER)).toEqual([]);
    expect(mentions(redis, USER)).toEqual([]);
    for (const { id } of [jobs.open, jobs.held]) expect(redis).not.toContain(id);
    // The cancellation and its notice are the only news of the other.
    expect(mentions(rows, OTHER).length).toBeGreaterThanOrEqual(before - 3);
    expect(redis).toContain(jobs.otherOpen.id);
    const [open] = await t.ctx.db.execute<{ status: string; customer: string }>(sql`
      select status, customer_id as customer from jobs where id = ${jobs.open.id}`);
    expect(open).toMatchObject({
      status: 'cancelled',
      customer: expect.stringMatching(/^erased-/),
    });
    const [window] = await t.ctx.db.execute<{ suffixes: number[] }>(sql`
      select to_jsonb(suffixes) as suffixes from push_windows`);
    expect(window?.suffixes.toSorted((x, y) => x - y)).toEqual([0, 4711]);
    const known = await t.engine.drivers.know(OTHER);
    if (!known) throw new Error('not known');
    const feed = await t.engine.jobs.available(known);
    expect(feed.map(({ id }) => id)).toContain(jobs.otherOpen.id);
  });

  it('is erased again without harm', { timeout: SCRIPT_MS }, async () => {
    const { stdout } = await script('erase', '--user', USER);
    expect(stdout).toContain('jobs cancelled: 0');
    await expect(script('erase', '--user', 'a b')).rejects.toMatchObject({
      stderr: expect.stringContaining('--user must be'),
    });
  });

  it('says what to do when a run was cut off', { timeout: SCRIPT_MS }, async () => {
    await t.ctx.db.execute(sql`alter table driver_days rename to driver_days_away`);
    await expect(script('erase', '--user', USER)).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /^muster erase: not finished, run it again: relation "driver_days" does not exist$/m,
      ),
    });
    await t.ctx.db.execute(sql`alter table driver_days_away rename to driver_days`);
    const { stdout } = await script('erase', '--user', USER);
    expect(stdout).toContain(`Erased ${USER}`);
  });
});
