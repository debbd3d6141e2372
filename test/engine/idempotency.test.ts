/** A key counts for a day: within it the first job is the answer, after it the call is a new one. */

import { beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../../engine/pg/drizzle.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});

const keyed = (key: string, body: object = { address: 'a' }) => ({
  idempotency: { sub: 'c1', key, body },
});

async function age(key: string, hours: number): Promise<void> {
  await t.ctx.db.execute(sql`
    update idempotency_keys set created_at = now() - make_interval(hours => ${hours}::int)
    where sub = 'c1' and key = ${key}`);
}

describe('an Idempotency-Key', () => {
  it('of less than a day answers with the first job, and refuses another body', async () => {
    const first = await t.post(keyed('young'));
    await age('young', 23);
    expect((await t.post(keyed('young'))).id).toBe(first.id);
    await expect(t.post(keyed('young', { address: 'b' }))).rejects.toThrow('idempotency_mismatch');
  });

  it('of more than a day is forgotten: the same call posts a new job, once for its duplicates', async () => {
    const first = await t.post(keyed('old'));
    await age('old', 25);
    const again = await Promise.all([1, 2, 3, 4].map(() => t.post(keyed('old'))));
    const ids = new Set(again.map((job) => job.id));
    expect(ids.size).toBe(1);
    expect(ids).not.toContain(first.id);
    const rows = await t.ctx.db.execute<{ job: string }>(sql`
      select job_id as job from idempotency_keys where key = 'old'`);
    expect(rows.map((row) => row.job)).toEqual([...ids]);
  });

  it('of more than a day may come with another body', async () => {
    const first = await t.post(keyed('other'));
    await age('other', 25);
    const next = await t.post(keyed('other', { address: 'b' }));
    expect(next.id).not.toBe(first.id);
    expect((await t.post(keyed('other', { address: 'b' }))).id).toBe(next.id);
  });
});
