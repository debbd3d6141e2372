/**
 * A Postgres whose every answer is late: claims take longer in proportion, and no more. Every tapped job is
 * taken, by one driver, without a version that was spent on nothing; afterwards all is as before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../engine/engine.ts';
import { findJobs, listEvents } from '../../../engine/pg/jobs.ts';
import { engineVia } from '../../race/support/muster.ts';
import { cleanups, startTestEngine, type TestEngine } from '../../support/engine.ts';
import { type SlowProxy, startSlowProxy } from '../../support/slow-proxy.ts';

const JOBS = 30;
const DRIVERS_PER_JOB = 8;
/** When all is well again, a tap is answered at once; this is for what is still under way. */
const RECOVERY_MS = 3000;

let t: TestEngine;
let proxy: SlowProxy;
let engines: Engine[];
beforeAll(async () => {
  t = await startTestEngine();
  proxy = await startSlowProxy(t.databaseUrl);
  cleanups.push(() => proxy.close());
  // Two as in two api processes; their connections are open before it becomes slow.
  engines = [
    await engineVia(t, { databaseUrl: proxy.url }),
    await engineVia(t, { databaseUrl: proxy.url }),
  ];
  for (let i = 0; i < JOBS * DRIVERS_PER_JOB; i++) await t.driver(`d${i}`);
});

/** Taps as an app does: after each 503 again, when it was told to. */
async function tap(engine: Engine, job: string, driver: string): Promise<string | null> {
  for (;;) {
    const result = await engine.jobs.claim(job, driver);
    if (result.ok) return driver;
    if (result.code !== 'try_again') return null;
    await sleep(result.retryAfterMs * (1 + Math.random() / 2));
  }
}

describe.each([
  [0, 3000],
  [450, 6000],
  [1000, 15_000],
])('answers that are late by %i ms', (delayMs, limitMs) => {
  it(`all jobs are taken within ${limitMs} ms, nobody is assigned twice`, async () => {
    const jobs = await Promise.all(Array.from({ length: JOBS }, () => t.post()));
    proxy.delayMs = delayMs;
    const began = performance.now();
    let takenAt = 0;
    const taps = jobs.flatMap((job, j) =>
      Array.from({ length: DRIVERS_PER_JOB }, async (_, d) => {
        const driver = `d${j * DRIVERS_PER_JOB + d}`;
        const winner = await tap(engines[d % 2] as Engine, job.id, driver);
        if (winner) takenAt = performance.now() - began;
        return { job: job.id, winner };
      }),
    );
    const results = await Promise.all(taps);
    proxy.delayMs = 0;
    const calm = performance.now();

    const winners = Map.groupBy(
      results.filter(({ winner }) => winner !== null),
      ({ job }) => job,
    );
    expect(winners.size).toBe(JOBS);
    for (const [, won] of winners) expect(won).toHaveLength(1);
    const ids = jobs.map(({ id }) => id);
    for (const row of await findJobs(t.ctx.db, ids)) {
      expect(row).toMatchObject({ status: 'accepted', version: 2 });
      expect(row.driverId).toBe(winners.get(row.id)?.[0]?.winner);
      const accepted = (await listEvents(t.ctx.db, row.id)).filter(
        (e) => e.type === 'job.accepted',
      );
      expect(accepted).toHaveLength(1);
    }
    expect(takenAt).toBeLessThan(limitMs);

    const next = await t.post();
    expect(await tap(engines[0] as Engine, next.id, 'd0')).toBe('d0');
    expect(performance.now() - calm).toBeLessThan(RECOVERY_MS);
  });
});
