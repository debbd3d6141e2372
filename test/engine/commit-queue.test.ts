/** The queue of claims before Postgres: bounded, and no row fails or stalls another. */
import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { beforeAll, describe, expect, it } from 'vitest';
import { TryAgainError } from '../../engine/context.ts';
import {
  type CommitOutcome,
  type CommitQueue,
  createCommitQueue,
} from '../../engine/jobs/claim/commit.ts';
import { createClaims } from '../../engine/jobs/claim/gate.ts';
import { isServerError } from '../../engine/pg/client.ts';
import { holdRow } from '../race/support/steps.ts';
import { cleanups, startTestEngine, type TestEngine } from '../support/engine.ts';

/** What the queue holds besides the two batches in flight. */
const QUEUE_MAX = 1024;
const IN_FLIGHT_MAX = 2;
const REFUSED = 50;
/** More than wait for locks at once. */
const LOCKED = 20;

let t: TestEngine;
let sql: postgres.Sql;
beforeAll(async () => {
  t = await startTestEngine();
  sql = postgres(t.databaseUrl, { max: 2 + LOCKED, onnotice: () => {} });
  cleanups.push(() => sql.end());
  await t.driver('a');
  await t.driver('b');
});

/** Open jobs that are in Postgres alone, and as many approved drivers under the same ids. */
async function openJobs(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  await sql`
    insert into jobs (id, zone, customer_id, address, total_price, radius_km)
    select id, 'world', 'c', 'a', 1, 30 from unnest(${ids}::text[]) id`;
  await sql`
    insert into drivers (id, approval_status) select id, 'approved' from unnest(${ids}::text[]) id`;
  return ids;
}

const accepted = async (ids: readonly string[]) => {
  const rows = await sql<{ id: string }[]>`
    select id from jobs where id = any(${[...ids]}::text[]) and status = 'accepted' and driver_id = id`;
  return new Set(rows.map((row) => row.id));
};

const claimOwn = (queue: CommitQueue) => (id: string) =>
  queue.submit({ jobId: id, version: 1, driverId: id });
const kindOf = (outcome: CommitOutcome) => outcome.kind;

/** A queue that writes down its batches; the next claims of one turn form one batch. */
async function busyQueue(): Promise<{
  queue: CommitQueue;
  batches: number[];
  first: Promise<CommitOutcome[]>;
}> {
  const batches: number[] = [];
  const metrics = { ...t.ctx.metrics, claimBatch: (size: number) => batches.push(size) };
  const queue = createCommitQueue({ ...t.ctx, metrics });
  const jobs = await openJobs(IN_FLIGHT_MAX);
  return { queue, batches, first: Promise.all(jobs.map(claimOwn(queue))) };
}

describe('a full queue', () => {
  it('refuses whoever comes at once, and loses nobody who is in it', async () => {
    const queue = createCommitQueue(t.ctx);
    const taken = await openJobs(IN_FLIGHT_MAX + QUEUE_MAX);
    const refused = await openJobs(REFUSED);
    const job = await t.post();
    const table = await sql.reserve();
    await table`begin`;
    await table`lock table jobs in access exclusive mode`;
    const waiting = Promise.all(taken.map(claimOwn(queue)));
    // They are answered while nothing can be committed: not by a deadline of Postgres.
    const answers = await Promise.allSettled(refused.map(claimOwn(queue)));
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 'rejected', reason: expect.any(TryAgainError) });
    }
    const background: Promise<unknown>[] = [];
    const ctx = { ...t.ctx, background: (work: Promise<unknown>) => void background.push(work) };
    const claim = createClaims(ctx, queue);
    expect(await claim(job.id, 'a')).toMatchObject({ ok: false, code: 'try_again' });
    await table`rollback`;
    table.release();

    expect(new Set((await waiting).map(kindOf))).toEqual(new Set(['won']));
    expect((await accepted(taken)).size).toBe(taken.length);
    expect((await accepted(refused)).size).toBe(0);
    // Nothing is left of what was refused: the job is open, and the queue has room.
    expect(await claim(job.id, 'b')).toMatchObject({ ok: true, job: { version: 2 } });
    expect(kindOf(await claimOwn(queue)(refused[0] as string))).toBe('won');
    await Promise.all(background);
  });
});

describe('a poisoned row', () => {
  it('fails by itself: the others of its batch are won', async () => {
    const jobs = await openJobs(12);
    const poisoned = jobs[5] as string;
    await sql.unsafe(`
      create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'poisoned'; end $$;
      create trigger poison before update on jobs for each row
        when (old.id = '${poisoned}') execute function refuse()`);
    const { queue, batches, first } = await busyQueue();
    const answers = await Promise.allSettled(jobs.map(claimOwn(queue)));
    expect(batches).toEqual([1, 1, jobs.length]);
    for (const [i, answer] of answers.entries()) {
      if (jobs[i] !== poisoned) {
        expect(answer).toMatchObject({ status: 'fulfilled', value: { kind: 'won' } });
      } else {
        expect(answer.status).toBe('rejected');
        // Surely not committed: no fence is needed, and his next try may win.
        expect(isServerError((answer as PromiseRejectedResult).reason)).toBe(true);
      }
    }
    expect(await accepted(jobs)).toEqual(new Set(jobs.filter((id) => id !== poisoned)));
    await first;
    await sql`drop trigger poison on jobs`;
    expect(kindOf(await claimOwn(queue)(poisoned))).toBe('won');
  });
});

describe('locked rows', () => {
  it('are waited for apart, however many: free ones of their batch and later ones go on', async () => {
    const locked = await openJobs(LOCKED);
    const free = await openJobs(LOCKED);
    const later = await openJobs(LOCKED);
    const holds = await Promise.all(locked.map((id) => holdRow(sql, { table: 'jobs', id })));
    const { queue, batches, first } = await busyQueue();
    let unlocked = 0;
    const waiting = Promise.all(
      locked.map(async (id) => {
        const outcome = await claimOwn(queue)(id);
        unlocked++;
        return outcome;
      }),
    );
    const beside = await Promise.all(free.map(claimOwn(queue)));
    expect(batches).toEqual([1, 1, 2 * LOCKED]);
    const afterwards = await Promise.all(later.map(claimOwn(queue)));
    expect(new Set([...beside, ...afterwards].map(kindOf))).toEqual(new Set(['won']));
    expect(unlocked).toBe(0);
    await Promise.all(holds.map((hold) => hold.release()));
    expect(new Set((await waiting).map(kindOf))).toEqual(new Set(['won']));
    expect((await accepted([...locked, ...free, ...later])).size).toBe(3 * LOCKED);
    await first;
  });
});

describe('claims of one batch', () => {
  it('never meet: of two on one job one wins, and of two by one driver no more than he may hold', async () => {
    const limited = createCommitQueue({
      ...t.ctx,
      settings: { ...t.ctx.settings, driverMaxActiveJobs: 1 },
    });
    const [one, two, three, ...fillers] = await openJobs(3 + IN_FLIGHT_MAX);
    const first = fillers.map(claimOwn(limited));
    const submit = (jobId = '', driverId = '') => limited.submit({ jobId, version: 1, driverId });
    const contested = await Promise.all([submit(one, one), submit(one, two)]);
    expect(contested.map(kindOf).sort()).toEqual(['not_won', 'won']);

    const greedy = await Promise.all([submit(two, three), submit(three, three)]);
    expect(greedy.map(kindOf).sort()).toEqual(['not_won', 'won']);
    const [row] = await sql<{ held: number }[]>`
      select count(*)::int as held from jobs where driver_id = ${three ?? ''}`;
    expect(row?.held).toBe(1);
    await Promise.all(first);
    expect((await accepted(fillers)).size).toBe(fillers.length);
  });
});
