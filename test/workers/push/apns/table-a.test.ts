/**
 * Every answer of APNs and what must follow from it, through the sender and the client against the
 * simulator: is it sent again, is the token kept, does the connection stay, is anybody alarmed?
 */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Logger } from '../../../../engine/context.ts';
import { deviceTokensOf, saveDeviceToken } from '../../../../engine/pg/device-tokens.ts';
import { createRegistry } from '../../../../engine/process/metrics.ts';
import { defaultSettings } from '../../../../scripts/apns-simulator/settings.ts';
import { type ApnsRoutes, createApnsRoutes } from '../../../../workers/push/apns-routes.ts';
import { createPushMetrics } from '../../../../workers/push/metrics.ts';
import {
  createSender,
  type Push,
  type Receiver,
  type Sender,
} from '../../../../workers/push/sender.ts';
import { cleanups } from '../../../support/engine.ts';
import { apnsConfig, startTestPush, type TestPush } from '../../../support/push.ts';

interface Row {
  /** May it be sent again later? */
  retry?: boolean;
  /** Was it sent again at once, on another connection? */
  moves?: boolean;
  /** Is the token gone? */
  removed?: boolean;
  /** Does the next push use another connection? */
  newConnection?: boolean;
  /** Are operators told? */
  alarm?: boolean;
  /** Is what follows to the same app held back? */
  pauses?: boolean;
}
const ourFault: Row = { alarm: true };
const fault: Row = { retry: true, alarm: true, newConnection: true, pauses: true };
/** Said of one that may never be repeated; the app is held back all the same. */
const forbidden: Row = { ...fault, retry: false };
const moves: Row = { retry: true, moves: true, newConnection: true };

const table: [number, string, Row][] = [
  [400, 'BadDeviceToken', { removed: true }],
  [400, 'DeviceTokenNotForTopic', { removed: true }],
  [400, 'MissingDeviceToken', ourFault],
  [400, 'BadTopic', fault],
  [400, 'MissingTopic', fault],
  [400, 'TopicDisallowed', fault],
  [400, 'BadCollapseId', ourFault],
  [400, 'BadExpirationDate', ourFault],
  [400, 'BadMessageId', ourFault],
  [400, 'BadPriority', ourFault],
  [400, 'InvalidPushType', ourFault],
  [400, 'DuplicateHeaders', ourFault],
  [400, 'PayloadEmpty', ourFault],
  [400, 'IdleTimeout', moves],
  [403, 'ExpiredProviderToken', moves],
  [403, 'InvalidProviderToken', fault],
  [403, 'MissingProviderToken', fault],
  [403, 'UnrelatedKeyIdInToken', moves],
  [403, 'BadEnvironmentKeyIdInToken', fault],
  [403, 'BadCertificate', fault],
  [403, 'BadCertificateEnvironment', fault],
  [403, 'Forbidden', forbidden],
  [404, 'BadPath', ourFault],
  [405, 'MethodNotAllowed', ourFault],
  [410, 'Unregistered', { removed: true }],
  [410, 'ExpiredToken', { removed: true }],
  [413, 'PayloadTooLarge', ourFault],
  [429, 'TooManyRequests', { retry: true }],
  [429, 'TooManyProviderTokenUpdates', { retry: true, newConnection: true, alarm: true }],
  [500, 'InternalServerError', { retry: true }],
  [503, 'ServiceUnavailable', { retry: true }],
  [503, 'Shutdown', moves],
  [418, 'NeverHeardOf', ourFault],
  [599, 'NeverHeardOf', { retry: true }],
];

let t: TestPush;
let routes: ApnsRoutes;
let sender: Sender;
let alarms: string[];
let count = 0;
const tokenOf = (user: string) => Buffer.from(user.padEnd(32, '.')).toString('hex');

beforeAll(async () => {
  t = await startTestPush();
});
beforeEach(() => {
  t.simulator.faults.clear();
  Object.assign(t.simulator.settings, defaultSettings());
  alarms = [];
  const log: Logger = {
    info: () => {},
    warn: () => {},
    error: (_details, message) => alarms.push(message),
  };
  // A client without a past: what an answer does to it is seen from the first push on.
  routes = createApnsRoutes(apnsConfig(t.simulator), log);
  const metrics = createPushMetrics(createRegistry(), t.queues.byLane, Date.now);
  sender = createSender({ devices: t.engine.devices, routes, metrics, log });
  cleanups.push(() => sender.close());
});

type ToOne = Omit<Push, 'lane'> & Receiver;
async function pushTo(user: string): Promise<ToOne> {
  const device = { token: tokenOf(user), userId: user, environment: 'sandbox' } as const;
  await saveDeviceToken(t.ctx.db, { ...device, app: 'customer' });
  return {
    device,
    place: 0,
    app: 'customer',
    jobId: `job of ${user}`,
    kind: 'test',
    payload: JSON.stringify({ aps: { alert: 'x' }, job_id: user }),
    expiresAt: Date.now() + 60_000,
  };
}
const attemptsOf = async (jobId: string) => (await t.engine.pushes.recordOf(jobId)).record.attempts;
const arrivals = (user: string) => t.simulator.phones.records(user);
async function sendOne(push: ToOne, lane: 'critical' | 'nearby' = 'critical') {
  const { record } = await t.engine.pushes.recordOf(push.jobId);
  const [sent] = (await sender.send({ ...push, lane }, record, [push])) ?? [];
  if (!sent) throw new Error('nothing was sent');
  return sent;
}

describe('an answer of APNs', () => {
  it('200 is on record as sent, with how long it took', async () => {
    const push = await pushTo('fine');
    expect(await sendOne(push)).toMatchObject({ outcome: 'sent', status: 200, retry: false });
    const [attempt] = await attemptsOf(push.jobId);
    expect(attempt).toMatchObject({ outcome: 'sent', status: 200, reason: null });
    expect(attempt?.latencyMs).toBeGreaterThanOrEqual(0);
  });

  it('200 of the sandbox has an id for its console, which is on record; others have none', async () => {
    t.simulator.settings.environment = 'sandbox';
    const pushes = [await pushTo('tested'), await pushTo('refused')] as const;
    const tooLarge = { status: 413, reason: 'PayloadTooLarge' };
    t.simulator.faults.setAnswer(pushes[1].device.token, tooLarge);
    expect(await sendOne(pushes[0])).toMatchObject({ status: 200 });
    expect(await sendOne(pushes[1])).toMatchObject({ status: 413 });
    t.simulator.settings.environment = 'production';
    const real = await pushTo('real');
    expect(await sendOne(real)).toMatchObject({ outcome: 'sent' });
    const ids = async ({ jobId }: ToOne) =>
      (await attemptsOf(jobId)).map((attempt) => attempt.apnsUniqueId);
    expect(await ids(pushes[0])).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    expect(await ids(pushes[1])).toEqual([null]);
    expect(await ids(real)).toEqual([null]);
  });

  it.each(table)('%i %s', async (status, reason, row) => {
    const user = `u${++count}`;
    const push = await pushTo(user);
    await sendOne(await pushTo(`before ${user}`));
    const opened = t.simulator.connections();
    t.simulator.faults.setAnswer(push.device.token, { status, reason });
    const sent = await sendOne(push);
    expect(sent).toMatchObject({ outcome: 'rejected', status, reason, retry: row.retry ?? false });
    expect(arrivals(user)).toHaveLength(row.moves ? 2 : 1);
    const left = await deviceTokensOf(t.ctx.db, 'customer', [user]);
    expect(left).toHaveLength(row.removed ? 0 : 1);
    expect(alarms).toHaveLength(row.alarm ? 1 : 0);
    const [attempt] = await attemptsOf(push.jobId);
    expect(attempt).toMatchObject({ outcome: 'rejected', status, reason });
    // The next push, to a phone that is well, shows what became of connection and lane.
    const next = await sendOne(await pushTo(`after ${user}`));
    if (row.pauses) expect(next).toMatchObject({ outcome: 'never_processed', reason, retry: true });
    else expect(next).toMatchObject({ outcome: 'sent' });
    const opens = t.simulator.connections() - opened;
    if (!row.newConnection) expect(opens).toBeLessThanOrEqual(1);
    else if (!row.pauses) expect(opens).toBeGreaterThanOrEqual(1);
  });

  it('that is our own fault is told once for each reason', async () => {
    const faults = [
      [413, 'PayloadTooLarge'],
      [413, 'PayloadTooLarge'],
      [400, 'BadPriority'],
    ] as const;
    for (const [i, [status, reason]] of faults.entries()) {
      const push = await pushTo(`fault ${i}`);
      t.simulator.faults.setAnswer(push.device.token, { status, reason });
      expect(await sendOne(push)).toMatchObject({ status, reason, retry: false });
    }
    expect(alarms).toHaveLength(2);
  });

  it('three 500 in a row end their connection, an outage pauses everything', async () => {
    await sendOne(await pushTo('warm'));
    const busy = { kind: 'status', count: 3, reason: 'InternalServerError' } as const;
    t.simulator.faults.add({ ...busy, status: 500 });
    for (let i = 0; i < 3; i++) {
      const dropped = await sendOne(await pushTo(`five hundred ${i}`), 'nearby');
      expect(dropped).toMatchObject({ status: 500, retry: false });
      expect(arrivals(`five hundred ${i}`)).toHaveLength(1);
    }
    const opened = t.simulator.connections();
    expect(await sendOne(await pushTo('well'))).toMatchObject({ outcome: 'sent' });
    expect(t.simulator.connections()).toBe(opened + 1);
    t.simulator.faults.add({ ...busy, status: 503, reason: 'ServiceUnavailable' });
    for (let i = 0; i < 3; i++) await sendOne(await pushTo(`five oh three ${i}`));
    const held = await sendOne(await pushTo('held'));
    expect(held).toMatchObject({ outcome: 'never_processed', reason: 'ServiceUnavailable' });
    expect(arrivals('held')).toHaveLength(0);
    // It was no attempt, however often it is tried until the pause is over.
    expect(await attemptsOf('job of held')).toEqual([]);
    const paused = { scope: 'service', reason: 'ServiceUnavailable' };
    expect(routes.paused()).toEqual([paused]);
  });

  it.each(['BadDeviceToken', 'DeviceTokenNotForTopic'])(
    '400 %s of too many phones holds their app back, removes no more and leaves the other app alone',
    async (reason) => {
      const users = Array.from({ length: 6 }, (_, i) => `${reason} ${i}`.slice(-30));
      const sent = [];
      for (const user of users) {
        const push = await pushTo(user);
        t.simulator.faults.setAnswer(push.device.token, { status: 400, reason });
        sent.push(await sendOne(push));
      }
      expect(sent[4]).toMatchObject({ status: 400, reason, retry: false });
      expect(sent[5]).toMatchObject({ status: 400, reason: 'mix_up', retry: true });
      expect(await deviceTokensOf(t.ctx.db, 'customer', users)).toHaveLength(1);
      expect(alarms).toEqual(['APNs refuses our settings']);
      const next = await sendOne(await pushTo(`next ${reason}`.slice(-30)));
      expect(next).toMatchObject({ outcome: 'never_processed', reason: 'mix_up', retry: true });
      expect(routes.paused()).toEqual([{ scope: 'topic app.muster.customer', reason: 'mix_up' }]);
      const toDriver = { ...(await pushTo(`driver ${reason}`.slice(-30))), app: 'driver' as const };
      expect(await sendOne(toDriver)).toMatchObject({ outcome: 'sent' });
    },
  );

  it('that asks for a delay is heard', async () => {
    const push = await pushTo('patient');
    const busy = { status: 429, reason: 'TooManyRequests', retryAfter: 7 };
    t.simulator.faults.add({ kind: 'status', count: 1, ...busy });
    expect(await sendOne(push)).toMatchObject({ retry: true, retryAfterMs: 7000 });
  });
});
