/**
 * A connection to Postgres that a firewall has forgotten: what is sent over it arrives nowhere, and nobody
 * says so. Only the claims of its own batch wait, and not until the connection is given up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { TryAgainError } from '../../engine/context.ts';
import type { Engine } from '../../engine/engine.ts';
import { createCommitQueue, LateCommitError } from '../../engine/jobs/claim/commit.ts';
import { isServerError } from '../../engine/pg/client.ts';
import { cleanups } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { type HoldingProxy, startHoldingProxy } from './support/holding-proxy.ts';
import { answerOf, decided, engineVia, type Races, startRaces } from './support/muster.ts';

/** As engine/jobs/claim/commit.ts. */
const COMMIT_MAX_MS = 6000;
/** A silent connection is closed after ten seconds (engine/pg/socket.ts): too late to count here. */
const SOON_MS = COMMIT_MAX_MS + 3000;
/** From then on a single batch under way would keep every claim out: 0.6 of CLAIM_LEASE_MS, and some. */
const LONG_MS = 3500;

let muster: Races;
beforeAll(async () => {
  muster = await startRaces();
});

/** An engine that has claimed before: its connections and statements are ready. */
async function engineOver(change: object = {}): Promise<{ proxy: HoldingProxy; engine: Engine }> {
  const proxy = await startHoldingProxy(muster.t.databaseUrl);
  cleanups.push(() => proxy.close());
  const engine = await engineVia(muster.t, { databaseUrl: proxy.url, ...change });
  expect(await decided(engine, await muster.post(), 'd1')).toBe(true);
  return { proxy, engine };
}

/** What the commit of a claim on this job contains, and no other statement. */
const commitOf = (job: string) => `"jobId":"${job}"`;
const assignedOnce = (driverId: string) => ({
  status: 'accepted',
  driverId,
  open: false,
  told: ['customer driver_assigned'],
});

it('keeps no claim from its commit but those that were sent over it, and them not for long', async () => {
  const { proxy, engine } = await engineOver();
  const forgotten = await muster.post();
  const others = [await muster.post(), await muster.post()];
  proxy.holdOne('requests', commitOf(forgotten));
  const sentAt = performance.now();
  expect(await engine.jobs.claim(forgotten, 'd1')).toMatchObject({ code: 'try_again' });
  expect(proxy.holding).toBe(true);
  expect(await engine.jobs.claim(others[0] ?? '', 'd2')).toMatchObject({ ok: true });
  await sleep(LONG_MS - (performance.now() - sentAt));
  expect(await engine.jobs.claim(others[1] ?? '', 'd3')).toMatchObject({ ok: true });

  expect(await decided(engine, forgotten, 'd2')).toBe(true);
  expect(performance.now() - sentAt).toBeLessThan(SOON_MS);
  // The network remembers: the commit of the first driver arrives after all, and changes nothing.
  proxy.release();
  expect(await answerOf(engine, forgotten, 'd1')).toEqual({ code: 'already_accepted' });
  expect(await muster.look(forgotten)).toEqual(assignedOnce('d2'));
});

it('hides a commit no longer: whose answer was lost on the way is told that he won', async () => {
  const { proxy, engine } = await engineOver();
  const job = await muster.post();
  // The first answer that names the job is that of its commit.
  proxy.holdOne('answers', job);
  const sentAt = performance.now();
  expect(await engine.jobs.claim(job, 'd1')).toMatchObject({ code: 'try_again' });
  expect(proxy.holding).toBe(true);
  expect((await muster.row(job)).driverId).toBe('d1');
  expect(await decided(engine, job, 'd1')).toBe(true);
  expect(performance.now() - sentAt).toBeLessThan(SOON_MS);
  proxy.release();
  expect(await muster.look(job)).toEqual(assignedOnce('d1'));
  expect((await muster.row(job)).version).toBe(2);
});

it('leaves the outcome unknown, frees its place in the queue, and ends nothing twice', async () => {
  // On another connection the statement would be prepared first, and then cancelled by the server's time limit.
  const { proxy, engine } = await engineOver({ databasePoolSize: 1 });
  const job = await muster.post();
  const sizes: number[] = [];
  const metrics = { ...engine.ctx.metrics, claimBatch: (size: number) => sizes.push(size) };
  const queue = createCommitQueue({ ...engine.ctx, metrics });
  proxy.holdOne('requests', commitOf(job));
  const intent = { jobId: job, version: 1, driverId: 'd1' };
  const [answer] = await Promise.allSettled([queue.submit(intent)]);
  const { reason } = answer as PromiseRejectedResult;
  expect(reason).toBeInstanceOf(LateCommitError);
  expect(isServerError(reason) || reason instanceof TryAgainError).toBe(false);
  await queue.idle();
  expect(queue.expectedMs()).toBe(0);
  // Nobody has fenced it here.
  proxy.release();
  await until(async () => (await muster.row(job)).driverId === 'd1');
  const next = await muster.post();
  expect((await queue.submit({ ...intent, jobId: next })).kind).toBe('won');
  expect(sizes).toEqual([1, 1]);
  await queue.idle();
  expect(queue.expectedMs()).toBe(0);
});
