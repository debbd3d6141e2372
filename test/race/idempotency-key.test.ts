/** The same post said twice, under one key. On Muster, and on a version that looks before it inserts. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { PostInput } from '../../engine/jobs/post.ts';
import { cleanups, HERE } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { type HoldingProxy, startHoldingProxy } from './support/holding-proxy.ts';
import { engineVia, type Races, startRaces } from './support/muster.ts';
import { violations } from './support/steps.ts';

let muster: Races;
/** A process whose answers from Postgres can be lost, and the way they take. */
let lossy: Awaited<ReturnType<typeof engineVia>>;
let answers: HoldingProxy;
beforeAll(async () => {
  muster = await startRaces();
  answers = await startHoldingProxy(muster.t.databaseUrl);
  cleanups.push(() => answers.close());
  lossy = await engineVia(muster.t, { databaseUrl: answers.url });
});

/** Posts with a key; the answer names the job, null is a refusal. */
interface Posts {
  post(process: number, key: string, address: string): Promise<string | null>;
  postUnheard(key: string, address: string): Promise<void>;
  count(key: string): Promise<number>;
}

// nammayatri #6691: the dashboard's call arrives twice, and there are two rides on one booking.
describe('concurrent duplicates of one Idempotency-Key', () => {
  async function scenario(posts: Posts): Promise<string[]> {
    const found = violations();
    for (let round = 0; round < 10; round++) {
      const key = randomUUID();
      const jobs = await Promise.all(
        Array.from({ length: 8 }, (_, i) => posts.post(i, key, '1 Main St')),
      );
      found.expect(new Set(jobs).size === 1, 'answered with several jobs');
      const count = await posts.count(key);
      found.expect(count === 1, `${count} jobs posted`);
      found.expect((await posts.post(1, key, '1 Main St')) === jobs[0], 'a later one differs');
    }
    const key = randomUUID();
    const either = await Promise.all(
      Array.from({ length: 8 }, (_, i) => posts.post(i, key, i % 2 ? 'here' : 'there')),
    );
    const said = new Set(either.filter((job) => job !== null));
    found.expect(said.size === 1, 'two bodies under one key are two jobs');
    found.expect(either.filter((job) => job === null).length === 4, 'another body was accepted');
    const lost = randomUUID();
    await posts.postUnheard(lost, '1 Main St');
    await posts.post(0, lost, '1 Main St');
    found.expect((await posts.count(lost)) === 1, 'posted again after a lost answer');
    return found.list;
  }

  const input = (key: string, address: string): PostInput => ({
    customerId: 'c1',
    address,
    position: HERE,
    totalPrice: 10,
    truckType: null,
    notes: key,
    expiresAt: null,
    actor: 'customer:c1',
    idempotency: { sub: 'c1', key, body: { address } },
  });

  it('Muster: one job, answered alike in every process', async () => {
    const engines = [muster.t.engine, muster.other];
    const found = await scenario({
      async post(process, key, address) {
        const result = await (engines[process % 2] ?? muster.other).jobs.post(input(key, address));
        return result.ok ? result.job.id : null;
      },
      async postUnheard(key, address) {
        answers.hold('answers', key);
        const unheard = lossy.jobs.post(input(key, address));
        const failed = expect(unheard).rejects.toThrow();
        await until(() => answers.holding);
        answers.cut();
        await failed;
      },
      async count(key) {
        const [row] = await muster.sql<{ n: number }[]>`
          select count(*)::int as n from jobs where notes = ${key}`;
        return row?.n ?? 0;
      },
    });
    expect(found).toEqual([]);
  });

  it('a naive version fails it', async () => {
    const { sql } = muster;
    await sql`create table naive_posts (key text, body text, job text)`;
    const looked = new Map<string, { count: number; all: PromiseWithResolvers<void> }>();
    const insert = async (key: string, body: string) => {
      const job = randomUUID();
      await sql`insert into naive_posts values (${key}, ${body}, ${job})`;
      return job;
    };
    const found = await scenario({
      async post(_process, key, address) {
        const [row] = await sql<{ job: string; body: string }[]>`
          select job, body from naive_posts where key = ${key}`;
        if (row) return row.body === address ? row.job : null;
        const entry = looked.get(key) ?? { count: 0, all: Promise.withResolvers<void>() };
        looked.set(key, entry);
        if (++entry.count === 8) entry.all.resolve();
        await entry.all.promise;
        return insert(key, address);
      },
      async postUnheard(key, address) {
        await insert(key, address);
      },
      async count(key) {
        const rows = await sql`select from naive_posts where key = ${key}`;
        return rows.length;
      },
    });
    expect(found).toContain('answered with several jobs');
    expect(found).toContain('8 jobs posted');
    expect(found).toContain('two bodies under one key are two jobs');
  });
});
