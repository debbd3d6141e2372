/**
 * The race from outside: every driver taps every job, over HTTP and over sockets at once. Exactly one
 * winner each, every loser told, and Postgres agrees.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { expect } from 'vitest';
import { mintToken, type Role } from '../../../scripts/dev/tokens.ts';
import { HERE } from '../../support/engine.ts';
import { TestClient } from '../../support/feed.ts';
import { until } from '../../support/until.ts';

export interface Racecourse {
  /** Of the api processes. */
  urls: readonly string[];
  secret: string;
  databaseUrl: string;
}

/** Throws where it is not so. */
export async function raceOverHttp(
  { urls, secret, databaseUrl }: Racecourse,
  { drivers, jobs: count }: { drivers: number; jobs: number },
): Promise<void> {
  const url = (i: number) => urls[i % urls.length] as string;
  const call = async (
    role: Role,
    sub: string,
    i: number,
    method: string,
    at: string,
    body?: object,
  ) => {
    const token = await mintToken({ role, sub, ttlS: 600, secret });
    const json = body && { 'content-type': 'application/json' };
    const response = await fetch(url(i) + at, {
      method,
      headers: { authorization: `Bearer ${token}`, ...json },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  };
  const clients: TestClient[] = [];
  for (let i = 0; i < drivers; i++) {
    const change = { name: `D${i}`, approval_status: 'approved' };
    await call('operator', 'op', i, 'PUT', `/api/drivers/r${i}`, change);
    const feed = `${url(i).replace('http', 'ws')}/ws`;
    const client = await TestClient.connect(feed, 'driver', `r${i}`, undefined, secret);
    await client.ask('availability', { online: true });
    await client.ask('location', HERE);
    clients.push(client);
  }
  const jobs: string[] = [];
  for (let i = 0; i < count; i++) {
    const job = { address: `${i} Main St`, ...HERE, total_price: 10 };
    jobs.push((await call('customer', `rc${i}`, i, 'POST', '/api/jobs', job)).body.job.id);
  }
  await until(() => clients.every((client) => jobs.every((job) => client.feed().has(job))));

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
        code = (await call('driver', `r${i}`, i + 1, 'POST', at)).body.code;
      }
      if (code !== 'try_again') return told(job, `r${i}`, code);
      await sleep(200);
    }
  };
  await Promise.all(jobs.flatMap((job, n) => clients.map((_client, i) => tap(job, i, n))));

  expect(codes).toEqual(new Map([['already_accepted', count * (drivers - 1)]]));
  const sql = postgres(databaseUrl, { max: 1, prepare: false });
  const rows = await sql`select id, driver_id, status from jobs where id = any(${jobs})`;
  await sql.end();
  expect(rows).toHaveLength(count);
  for (const row of rows) {
    expect(row.status).toBe('accepted');
    expect(winners.get(row.id)).toEqual([row.driver_id]);
  }
  await until(() => clients.every((client) => jobs.every((job) => !client.feed().has(job))));
  for (const client of clients) client.ws.terminate();
}
