/**
 * The race from outside: two api processes, 50 drivers, 40 jobs, taps over HTTP and over sockets at
 * once. Exactly one winner each, every loser told, and Postgres agrees.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../../scripts/dev/stack.ts';
import { mintToken, type Role } from '../../scripts/dev/tokens.ts';
import { TestClient } from '../support/feed.ts';
import { until } from '../support/until.ts';

const DRIVERS = 50;
const JOBS = 40;
const SECRET = 's'.repeat(32);
const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-race-'));
let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    stateDir: dir,
    apis: 2,
    port: 0,
    quiet: true,
    env: {
      AUTH_JWT_SECRET: SECRET,
      DATABASE_URL: undefined,
      REDIS_URL: undefined,
      LOG_LEVEL: 'warn',
    },
  });
});
afterAll(async () => {
  await stack?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const url = (i: number) => stack.urls[i % stack.urls.length] as string;
async function call(role: Role, sub: string, i: number, method: string, at: string, body?: object) {
  const token = await mintToken({ role, sub, ttlS: 600, secret: SECRET });
  const response = await fetch(url(i) + at, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

describe(`${DRIVERS} drivers, ${JOBS} jobs, two api processes`, () => {
  it('has one winner per job over HTTP and sockets, and every loser hears so', async () => {
    const clients: TestClient[] = [];
    for (let i = 0; i < DRIVERS; i++) {
      const change = { name: `D${i}`, approval_status: 'approved' };
      await call('operator', 'op', i, 'PUT', `/api/drivers/d${i}`, change);
      const client = await TestClient.connect(
        `${url(i).replace('http', 'ws')}/ws`,
        'driver',
        `d${i}`,
      );
      await client.ask('availability', { online: true });
      await client.ask('location', { lat: 37.77, lng: -122.41 });
      clients.push(client);
    }
    const jobs: string[] = [];
    for (let i = 0; i < JOBS; i++) {
      const job = { address: `${i} Main St`, lat: 37.77, lng: -122.41, total_price: 10 };
      jobs.push((await call('customer', `c${i}`, i, 'POST', '/api/jobs', job)).body.job.id);
    }
    await until(() => clients.every((client) => client.feed().size === JOBS));

    const winners = new Map<string, string[]>();
    const codes = new Map<string, number>();
    const told = (job: string, driver: string, code: string | undefined) => {
      if (code === undefined) winners.set(job, [...(winners.get(job) ?? []), driver]);
      else codes.set(code, (codes.get(code) ?? 0) + 1);
    };
    const tap = async (job: string, i: number, n: number) => {
      for (;;) {
        let code: string | undefined;
        if ((i + n) % 2) code = (await clients[i]?.ask('accept', { job_id: job }))?.code;
        else {
          const at = `/api/drivers/jobs/${job}/accept`;
          code = (await call('driver', `d${i}`, i + 1, 'POST', at)).body.code;
        }
        if (code !== 'try_again') return told(job, `d${i}`, code);
        await sleep(200);
      }
    };
    await Promise.all(jobs.flatMap((job, n) => clients.map((_client, i) => tap(job, i, n))));

    expect(codes).toEqual(new Map([['already_accepted', JOBS * (DRIVERS - 1)]]));
    const sql = postgres(stack.databaseUrl, { max: 1 });
    const rows = await sql`select id, driver_id, status from jobs`;
    await sql.end();
    expect(rows).toHaveLength(JOBS);
    for (const row of rows) {
      expect(row.status).toBe('accepted');
      expect(winners.get(row.id)).toEqual([row.driver_id]);
    }
    await until(() => clients.every((client) => client.feed().size === 0));
    for (const client of clients) client.ws.terminate();
  });
});
