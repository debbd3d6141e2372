import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Simulator } from '../../../../scripts/apns-simulator/simulator.ts';
import type {
  ApnsClient,
  ApnsClientOptions,
  ApnsOutcome,
  ApnsPush,
} from '../../../../workers/push/apns/client.ts';
import { alertPayload } from '../../../../workers/push/apns/payload.ts';
import { connectApns, newPush } from '../../../support/apns-client.ts';
import { testSimulator } from '../../../support/push.ts';

let simulator: Simulator;
let client: ApnsClient;

const connect = (change?: Partial<ApnsClientOptions>) => connectApns(simulator, change);
const push = (change: Partial<ApnsPush> = {}) =>
  newPush({
    payload: alertPayload({
      title: 'T',
      body: 'B',
      data: { job_id: 'j', type: 'job:new', version: 1 },
    }),
    ...change,
  });
const arrived = (one: ApnsPush) =>
  simulator.phones.records().filter((record) => record.apns_id === one.apnsId);

beforeAll(async () => {
  simulator = await testSimulator();
});
beforeEach(() => {
  simulator.faults.clear();
  client = connect();
});

describe('the client', () => {
  it('delivers, with every header that Apple asks for', async () => {
    const one = push();
    expect(await client.send(one)).toEqual({ outcome: 'sent' });
    expect(arrived(one)).toMatchObject([
      { status: 200, token: one.token, collapse_id: 'j', expiration: String(one.expiration) },
    ]);
  });

  it('delivers a burst, each exactly once', async () => {
    const burst = Array.from({ length: 1500 }, () => push());
    const outcomes = await Promise.all(burst.map((one) => client.send(one)));
    expect(new Set(outcomes.map((o) => o.outcome))).toEqual(new Set(['sent']));
    for (const one of burst) expect(arrived(one)).toHaveLength(1);
  });

  it.each<[string, Partial<ApnsPush>, object]>([
    ['a token that is none', { token: 'xyz' }, { status: 400, reason: 'BadDeviceToken' }],
    ['no topic', { topic: '' }, { status: 400, reason: 'MissingTopic' }],
    [
      'a long collapse id',
      { collapseId: 'x'.repeat(65) },
      { status: 400, reason: 'BadCollapseId' },
    ],
    ['an id that is none', { apnsId: 'X' }, { status: 400, reason: 'BadMessageId' }],
    ['a large payload', { payload: `"${'x'.repeat(5000)}"` }, { status: 413 }],
    ['no payload', { payload: '' }, { status: 400, reason: 'PayloadEmpty' }],
  ])('is told about %s', async (_what, change, answer) => {
    expect(await client.send(push(change))).toMatchObject({ outcome: 'rejected', ...answer });
  });

  it('is told since when a phone is gone', async () => {
    const one = push();
    const answer = { status: 410, reason: 'Unregistered', timestamp: 1_700_000_000_000 };
    simulator.faults.setAnswer(one.token, answer);
    expect(await client.send(one)).toEqual({ outcome: 'rejected', ...answer });
  });

  it('with a wrong key is refused and says so', async () => {
    const wrong = connect({ keyId: 'OTHERKEY01' });
    expect(await wrong.send(push())).toMatchObject({ status: 403, reason: 'InvalidProviderToken' });
  });

  it('sends a notification over another connection than the one that met a 500', async () => {
    const own = connect();
    const notification = () => own.send(push({ lane: 'critical' }));
    await notification();
    const before = simulator.connections();
    await notification();
    expect(simulator.connections()).toBe(before);
    simulator.faults.add({ kind: 'status', count: 1, status: 500 });
    expect(await notification()).toMatchObject({ outcome: 'rejected', status: 500 });
    expect(await notification()).toEqual({ outcome: 'sent' });
    expect(simulator.connections()).toBe(before + 1);
  });

  it('loses nothing and repeats nothing over a storm of goodbyes', async () => {
    simulator.faults.add({ kind: 'goaway', count: 20 });
    const burst = Array.from({ length: 500 }, () => push());
    const outcomes = await Promise.all(burst.map((one) => client.send(one)));
    const kinds = outcomes.map((o) => o.outcome);
    burst.forEach((one, i) => {
      // Safe to send again means that it surely was not taken.
      expect(arrived(one).length, kinds[i]).toBe(kinds[i] === 'sent' ? 1 : 0);
    });
    expect(kinds.filter((kind) => kind === 'sent').length).toBeGreaterThan(450);
  });

  it('does not know about what was in flight when the connection broke', async () => {
    await client.send(push());
    simulator.faults.add({ kind: 'kill', count: 1 });
    expect(await client.send(push())).toMatchObject({ outcome: 'unknown' });
    expect(await client.send(push())).toEqual({ outcome: 'sent' });
  });

  it('says surely not sent when nobody listens', async () => {
    const nowhere = connect({ url: 'https://localhost:1' });
    expect(await nowhere.send(push())).toMatchObject({ outcome: 'never_processed' });
  });

  it('gives up on an answer that never comes', async () => {
    const impatient = connect({ answerDeadlineMs: 1000 });
    await impatient.send(push());
    simulator.faults.add({ kind: 'freeze', count: 1 });
    expect(await impatient.send(push())).toEqual({ outcome: 'unknown', reason: 'no_answer' });
  });

  it('settles everything when it is closed', async () => {
    simulator.faults.add({ kind: 'delay', ms: 200 });
    const sending: Promise<ApnsOutcome>[] = Array.from({ length: 50 }, () => client.send(push()));
    await client.close();
    const outcomes = await Promise.all(sending);
    expect(outcomes.map((o) => o.outcome)).toContain('never_processed');
    expect(await client.send(push())).toEqual({ outcome: 'never_processed', reason: 'cancelled' });
  });
});
