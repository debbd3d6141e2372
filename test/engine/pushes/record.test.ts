/** The record of pushes: of two runs one sends, and neither loses what the other has written. */
import { beforeAll, describe, expect, it } from 'vitest';
import { readLedger } from '../../../engine/pg/push-ledger.ts';
import { createRecord } from '../../../engine/pushes/record.ts';
import { startTestEngine, type TestEngine } from '../../support/engine.ts';
import { pushResult } from '../../support/pushed.ts';

let t: TestEngine;
let jobs = 0;
beforeAll(async () => {
  t = await startTestEngine();
});

const key = () => ({ jobId: `job${++jobs}`, wave: 1, firstPlace: 100 });
type Key = ReturnType<typeof key>;
const read = async (of: Key) => createRecord(t.ctx.db, of, await readLedger(t.ctx.db, of));
const phone = (place: number, suffix = 'ffee0011') => ({ place, token: `0123456789${suffix}` });

describe('a record', () => {
  it('has its attempts before they are sent, and what became of them afterwards', async () => {
    const of = key();
    const record = await read(of);
    const begun = await record.begin([phone(3), phone(99, '00000001')]);
    const inFlight = { outcome: 'unknown', reason: null, status: null };
    expect((await read(of)).attempts).toMatchObject([
      { number: 0, place: 3, tokenSuffix: 'ffee0011', apnsId: begun?.[0]?.apnsId, ...inFlight },
      { number: 1, place: 99, tokenSuffix: '00000001', apnsId: begun?.[1]?.apnsId, ...inFlight },
    ]);
    const results = [
      pushResult({
        status: 200,
        latencyMs: 7,
        apnsUniqueId: '0e6f3a6e-33cb-4a4f-9c7f-6e9a7c3a11f0',
      }),
      pushResult({ outcome: 'rejected', status: 502, reason: 'a "proxy", {said}\\ \0null' }),
    ];
    await record.settle(results.map((result, number) => ({ number, ...result })));
    const said = { reason: 'a "proxy", {said}\\ null', latencyMs: null, apnsUniqueId: null };
    expect((await read(of)).attempts).toMatchObject([results[0], { ...results[1], ...said }]);
  });

  it('is begun by one of two runs', async () => {
    const of = key();
    const [one, two] = [await read(of), await read(of)];
    const begun = await Promise.all([one, two].map((record) => record.begin([phone(1)])));
    expect(begun.filter((attempts) => attempts === null)).toHaveLength(1);
    const [three, four] = [await read(of), await read(of)];
    const again = await Promise.all([three, four].map((record) => record.begin([phone(1)])));
    expect(again.filter((attempts) => attempts === null)).toHaveLength(1);
    expect((await read(of)).attempts.map(({ number }) => number)).toEqual([0, 1]);
  });

  it('keeps what another run has begun and settled meanwhile', async () => {
    const of = key();
    const first = await read(of);
    await first.begin([phone(1), phone(2)]);
    const second = await read(of);
    await second.begin([phone(3)]);
    await first.settle([{ number: 1, ...pushResult({ reason: 'first' }) }]);
    await second.settle([{ number: 2, ...pushResult({ reason: 'second' }) }]);
    await first.settle([{ number: 0, ...pushResult({ reason: 'late' }) }]);
    const { attempts } = await read(of);
    expect(attempts.map(({ reason }) => reason)).toEqual(['late', 'first', 'second']);
    expect(new Set(attempts.map(({ apnsId }) => apnsId)).size).toBe(3);
  });
});
