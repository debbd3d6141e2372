import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fileTrace, surveyTrace } from '../../../scripts/replay/trace.ts';
import { freshDatabase } from '../../support/servers.ts';
import { runScript } from '../support/run-script.ts';

const dir = mkdtempSync(join(tmpdir(), 'muster-record-'));
const START = Date.parse('2026-03-01T18:00:00.000Z');
const at = (seconds: number): string => new Date(START + seconds * 1000).toISOString();
let databaseUrl: string;
let sql: postgres.Sql;

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  rmSync(dir, { recursive: true });
});

interface JobRow {
  id: string;
  second: number;
  driver?: string;
  acceptedSecond?: number;
  doneSecond?: number;
  lat?: number | null;
}

async function addJob({ id, second, driver, acceptedSecond, doneSecond, lat = 45.123456 }: JobRow) {
  const taken = acceptedSecond === undefined ? null : at(acceptedSecond);
  const status = doneSecond === undefined ? (taken ? 'started' : 'pending') : 'completed';
  await sql`
    insert into jobs (id, zone, status, customer_id, driver_id, address, lat, lng, total_price,
      notes, radius_km, accepted_at, created_at, updated_at)
    values (${id}, 'z', ${status}, 'customer-anna', ${driver ?? null}, '1 Secret Street', ${lat},
      ${lat === null ? null : -34.654321}, 99.99, 'ring at Anna', 30, ${taken}::timestamptz,
      ${at(second)}::timestamptz, ${at(doneSecond ?? acceptedSecond ?? second)}::timestamptz)`;
}

async function addPosition(driver: string, second: number, lat: number): Promise<void> {
  await sql`insert into driver_positions (driver_id, at, lat, lng)
    values (${driver}, ${at(second)}::timestamptz, ${lat}, -34.6000049)`;
}

const record = (file: string, ...flags: string[]) =>
  runScript('record', ['--out', join(dir, file), ...flags], { env: { DATABASE_URL: databaseUrl } });
const window = ['--since', at(0), '--until', at(600)];

test('says plainly when no positions are sampled', async () => {
  await sql`drop table if exists driver_positions`;
  await addJob({ id: 'job-abc', second: 5 });
  const { code, stdout, stderr } = await record('jobs-only.jsonl', ...window);
  expect(stderr).toMatch(/^record: the database samples no positions [^\n]+\n$/);
  expect(stdout).toContain('1 jobs and 0 fixes');
  expect(code).toBe(0);
  await sql`create table if not exists driver_positions (driver_id text not null,
    at timestamptz not null, lat float8 not null, lng float8 not null)`;
  expect((await record('jobs-only.jsonl', ...window)).stderr).toContain(
    'no positions were sampled',
  );
});

test('a recording replays what happened and leads back to nobody', async () => {
  await addPosition('driver-bob', 1, 45.0000149);
  await addPosition('driver-eve', 2.5, 45.2);
  await addPosition('driver-bob', 100, 45.01);
  await addPosition('driver-bob', 200, 45.02);
  await addPosition('driver-bob', 700, 45.03);
  const bob = { driver: 'driver-bob', acceptedSecond: 50 };
  await addJob({ id: 'job-def', second: 40, ...bob, doneSecond: 150 });
  await addJob({ id: 'job-ghi', second: 60, driver: 'driver-eve', acceptedSecond: 61 });
  await addJob({ id: 'job-without-position', second: 70, lat: null });
  await addJob({ id: 'job-too-late', second: 601 });
  const { code, stdout } = await record('trace.jsonl', ...window);
  expect({ code, said: stdout.trim().split(': ')[1] }).toEqual({
    code: 0,
    said: '3 jobs and 4 fixes of 2 drivers',
  });
  const text = readFileSync(join(dir, 'trace.jsonl'), 'utf8');
  const place = { lat: 45.1235, lng: -34.6543 };
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { t: 1000, type: 'location', driver: 'd1', lat: 45, lng: -34.6, free: true },
    { t: 2500, type: 'location', driver: 'd2', lat: 45.2, lng: -34.6, free: true },
    { t: 5000, type: 'job', job: 'j1', ...place },
    { t: 40_000, type: 'job', job: 'j2', ...place, served_by: 'd1' },
    { t: 60_000, type: 'job', job: 'j3', ...place, served_by: 'd2' },
    { t: 100_000, type: 'location', driver: 'd1', lat: 45.01, lng: -34.6, free: false },
    { t: 200_000, type: 'location', driver: 'd1', lat: 45.02, lng: -34.6, free: true },
  ]);
  expect(text).not.toMatch(/bob|eve|anna|Secret|Anna|abc|def|ghi|2026|99\.99/);
  const survey = await surveyTrace(fileTrace(join(dir, 'trace.jsonl')));
  expect(survey).toMatchObject({ jobs: 3, drivers: ['d1', 'd2'] });
});

test('who stood still before is there from the start, and who went offline is free no more', async () => {
  const driver = async (id: string, online: boolean, seenAt: number) => {
    await sql`insert into drivers (id, online, seen_at) values (${id}, ${online}, ${at(seenAt)}::timestamptz)`;
  };
  const change = async (id: string, second: number, became: 'online' | 'offline') => {
    const was = became === 'online' ? 'offline' : 'online';
    await sql`insert into driver_events (driver_id, at, what, was, became, actor)
      values (${id}, ${at(second)}::timestamptz, 'online', ${was}, ${became}, 'muster')`;
  };
  const [begin, end] = [10_000, 10_600];
  // Parked an hour ago, and waits; so did the second, who then went home; the third had gone by then.
  await driver('parked', true, end);
  await addPosition('parked', begin - 3600, 46.1);
  await driver('leaver', false, end);
  await addPosition('leaver', begin - 60, 46.2);
  await change('leaver', begin + 300, 'offline');
  await driver('gone', false, end);
  await addPosition('gone', begin - 60, 46.3);
  await change('gone', begin - 30, 'offline');
  // Online by his row, but not heard of since before.
  await driver('lost', true, begin - 1);
  await addPosition('lost', begin - 60, 46.4);
  // Never available: he is only where his row says.
  await sql`insert into drivers (id, lat, lng, position_at)
    values ('resting', 46.5, -34.6, ${at(begin + 400)}::timestamptz)`;
  const { code, stdout } = await record('still.jsonl', '--since', at(begin), '--until', at(end));
  expect({ code, said: stdout.trim().split(': ')[1] }).toEqual({
    code: 0,
    said: '0 jobs and 4 fixes of 3 drivers',
  });
  const fixes = readFileSync(join(dir, 'still.jsonl'), 'utf8').trim().split('\n');
  expect(
    fixes.map((line) => JSON.parse(line)).map(({ t, driver, lat, free }) => [t, driver, lat, free]),
  ).toEqual([
    [0, 'd1', 46.2, true],
    [0, 'd2', 46.1, true],
    [300_000, 'd1', 46.2, false],
    [400_000, 'd3', 46.5, false],
  ]);
});

test('a database that writes days before months changes no time', async () => {
  const { pathname } = new URL(databaseUrl);
  const style = (value: string) =>
    sql.unsafe(`alter database "${pathname.slice(1)}" set datestyle = ${value}`);
  await style("'SQL, DMY'");
  expect((await record('dmy.jsonl', ...window)).code).toBe(0);
  await style('default');
  const [dmy, iso] = ['dmy.jsonl', 'trace.jsonl'].map((name) => readFileSync(join(dir, name)));
  expect(dmy?.equals(iso ?? Buffer.of())).toBe(true);
});

test('a role whose statements must be short records for as long as it takes', async () => {
  const { pathname } = new URL(databaseUrl);
  const limit = (value: string) =>
    sql.unsafe(`alter database "${pathname.slice(1)}" set statement_timeout = ${value}`);
  await sql`alter table driver_positions rename to positions`;
  await sql`create view driver_positions as select p.* from positions p, pg_sleep(0.4)`;
  await limit("'200ms'");
  try {
    const { code, stdout, stderr } = await record('slow.jsonl', ...window);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('3 jobs and 4 fixes');
  } finally {
    await limit('default');
    await sql`drop view driver_positions`;
    await sql`alter table positions rename to driver_positions`;
  }
});

test('a database that refuses in the middle is said in one line, and leaves no file', async () => {
  await sql`alter table driver_events rename to events_away`;
  try {
    const { code, stderr } = await record('refused.jsonl', ...window);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'record: cannot read DATABASE_URL: relation "driver_events" does not exist\n',
    });
    expect(readdirSync(dir).filter((name) => name.startsWith('refused'))).toEqual([]);
  } finally {
    await sql`alter table events_away rename to driver_events`;
  }
});

test('the last minutes are recorded without a window', async () => {
  await sql`update jobs set created_at = now() - interval '30 seconds' where id = 'job-too-late'`;
  const { stdout } = await record('recent.jsonl.gz', '--minutes', '2');
  expect(stdout).toContain('1 jobs and 0 fixes');
});

test.each([
  [['--minutes', '5', '--since', at(0)], '--minutes goes without'],
  [['--until', at(0)], '--until needs --since'],
  [['--since', at(9), '--until', at(8)], '--since must lie before --until'],
  [['--since', 'yesterday'], '--since must be a time like'],
  // A day that does not exist would be another day, and a time without a zone this machine's own.
  [['--since', '2026-02-30T18:00:00Z'], '--since must be a time like'],
  [['--since', '2026-03-01T18:00:00'], '--since must be a time like'],
  [['--minutes', '0'], '--minutes must be'],
])('refuses %s in one line', async (flags, message) => {
  const { code, stderr } = await record('x.jsonl', ...flags);
  expect(stderr).toContain(message);
  expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 2, lines: 1 });
});

test('a database that is not there is said in one line', async () => {
  const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' };
  const { code, stderr } = await runScript('record', ['--out', join(dir, 'x')], { env });
  expect({ code, stderr: stderr.split(':')[1] }).toEqual({
    code: 2,
    stderr: ' cannot read DATABASE_URL',
  });
});
