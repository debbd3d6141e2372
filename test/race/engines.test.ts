/** Bursts on the same jobs from two engines at once: exactly one winner each, and Postgres agrees. */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../engine/engine.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';

const DRIVERS = 50;
const JOBS = 40;
let t: TestEngine;
let other: Engine;

beforeAll(async () => {
  t = await startTestEngine();
  other = await t.another();
  for (let i = 0; i < DRIVERS; i++) await t.driver(`d${i}`);
});

describe(`${DRIVERS} drivers, ${JOBS} jobs, two engines`, () => {
  it('has one winner per job, and every loser hears so', async () => {
    const jobs = await Promise.all(Array.from({ length: JOBS }, () => t.post()));
    const winners = new Map<string, string[]>();
    const refusals = new Map<string, number>();
    await Promise.all(
      jobs.flatMap((job) =>
        Array.from({ length: DRIVERS }, async (_, i) => {
          const engine = i % 2 ? t.engine : other;
          for (;;) {
            const result = await engine.jobs.claim(job.id, `d${i}`);
            if (result.ok) winners.set(job.id, [...(winners.get(job.id) ?? []), `d${i}`]);
            else refusals.set(result.code, (refusals.get(result.code) ?? 0) + 1);
            if (result.ok || result.code !== 'try_again') return;
            await sleep('retryAfterMs' in result ? result.retryAfterMs : 0);
          }
        }),
      ),
    );
    const sql = postgres(t.databaseUrl, { max: 1 });
    const rows = await sql<{ id: string; driver_id: string; version: number }[]>`
      select id, driver_id, version from jobs where status = 'accepted'`;
    await sql.end();
    expect(rows).toHaveLength(JOBS);
    for (const row of rows) expect(winners.get(row.id)).toEqual([row.driver_id]);
    expect(refusals.get('already_accepted')).toBe(JOBS * (DRIVERS - 1));
  });

  it('keeps a driver within his limit of jobs, also within one batch', async () => {
    const limited = await startTestEngine({ driverMaxActiveJobs: 2 });
    await limited.driver('greedy');
    await limited.driver('second');
    const jobs = await Promise.all(Array.from({ length: 10 }, () => limited.post()));
    const results = await Promise.all(
      jobs.map((job) => limited.engine.jobs.claim(job.id, 'greedy')),
    );
    expect(results.filter((r) => r.ok)).toHaveLength(2);
    for (const r of results) if (!r.ok) expect(['driver_busy', 'try_again']).toContain(r.code);
    const sql = postgres(limited.databaseUrl, { max: 1 });
    const [held] = await sql`select count(*)::int as n from jobs where driver_id = 'greedy'`;
    await sql.end();
    expect(held?.n).toBe(2);
  });
});
