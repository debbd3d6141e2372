/** The simulator is as strict as Apple, and as troublesome as it is told to be. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultSettings } from '../../../scripts/apns-simulator/settings.ts';
import type { Simulator } from '../../../scripts/apns-simulator/simulator.ts';
import { testSimulator } from '../../support/push.ts';
import { connectTo, keyOf, newKey, sign, TOKEN, TOPIC } from './provider.ts';

let simulator: Simulator;
let provider: Awaited<ReturnType<typeof connectTo>>;

beforeAll(async () => {
  simulator = await testSimulator();
});
beforeEach(async () => {
  Object.assign(simulator.settings, defaultSettings());
  simulator.faults.clear();
  simulator.registry.register(TOKEN, {});
  provider = await connectTo(simulator);
});

describe('streams', () => {
  it('are one until the first success, and one after a refusal until the next', async () => {
    await provider.allows(1);
    await provider.send();
    await provider.allows(1000);
    await provider.send({ 'apns-priority': '7' });
    await provider.allows(1);
    await provider.send();
    await provider.allows(1000);
  });

  it('stay as many when a phone is gone, and where refusals are to cost nothing', async () => {
    await provider.send();
    await provider.allows(1000);
    simulator.faults.setAnswer(TOKEN, { status: 410, reason: 'Unregistered' });
    expect(await provider.send()).toMatchObject({ status: 410 });
    simulator.settings.collapse = false;
    expect(await provider.send({ 'apns-priority': '7' })).toMatchObject({ status: 400 });
    await provider.allows(1000);
  });

  it('outlive many changes on their way', async () => {
    await provider.send();
    await provider.allows(1000);
    const sent = Array.from({ length: 200 }, (_, i) =>
      provider.send(i % 2 === 0 ? {} : { 'apns-priority': '7' }),
    );
    const statuses = (await Promise.all(sent)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 400]));
    await provider.send();
    await provider.allows(1000);
  });
});

describe('a provider token', () => {
  const other = newKey('OTHERKEY01', 'MUSTERTEAM');
  const stranger = newKey('STRANGER01', 'OTHERTEAM1');

  it('of another key needs another connection, of another team too', async () => {
    for (const key of [other, stranger]) simulator.auth.accept(key);
    await provider.send();
    provider.use(await sign(other));
    expect(await provider.send()).toMatchObject({ status: 403, reason: 'UnrelatedKeyIdInToken' });
    provider.use(await sign(stranger));
    expect(await provider.send()).toMatchObject({ status: 403, reason: 'InvalidProviderToken' });
    for (const key of [other, stranger]) {
      expect(await (await connectTo(simulator, key)).send()).toMatchObject({ status: 200 });
    }
  });

  it('of a key for production is refused in the sandbox', async () => {
    simulator.auth.accept({ ...other, environment: 'production' });
    const wrong = await connectTo(simulator, other);
    expect(await wrong.send()).toMatchObject({ status: 200 });
    simulator.settings.environment = 'sandbox';
    const reason = 'BadEnvironmentKeyIdInToken';
    expect(await wrong.send()).toMatchObject({ status: 403, reason });
    expect(await provider.send()).toMatchObject({ status: 200 });
  });

  it('is judged by the clock of the server, and a connection whose token expired takes none', async () => {
    simulator.settings.clockSkewMs = 61 * 60_000;
    const expired = { status: 403, reason: 'ExpiredProviderToken' };
    expect(await provider.send()).toMatchObject(expired);
    simulator.settings.clockSkewMs = -5 * 60_000;
    const ahead = await connectTo(simulator);
    expect(await ahead.send()).toMatchObject({ status: 403, reason: 'InvalidProviderToken' });
    simulator.settings.clockSkewMs = 0;
    expect(await provider.send()).toMatchObject(expired);
    expect(await (await connectTo(simulator)).send()).toMatchObject({ status: 200 });
  });

  it('is not changed within twenty minutes on a connection', async () => {
    await provider.send();
    provider.use(await sign(keyOf(simulator), 60));
    const reason = 'TooManyProviderTokenUpdates';
    expect(await provider.send()).toMatchObject({ status: 429, reason });
  });
});

describe('a request', () => {
  it.each<[string, Record<string, string | string[] | null>, number, string]>([
    ['with another method', { ':method': 'PUT' }, 405, 'MethodNotAllowed'],
    ['to another path', { ':path': '/3/phone/aa' }, 404, 'BadPath'],
    ['without a token', { ':path': '/3/device/' }, 400, 'MissingDeviceToken'],
    ['without authorization', { authorization: null }, 403, 'MissingProviderToken'],
    ['with a header twice', { 'apns-collapse-id': ['a', 'b'] }, 400, 'DuplicateHeaders'],
    ['with a strange expiration', { 'apns-expiration': 'soon' }, 400, 'BadExpirationDate'],
    [
      'in the background with haste',
      { 'apns-push-type': 'background', 'apns-priority': '10' },
      400,
      'BadPriority',
    ],
    ['of a type that is none', { 'apns-push-type': 'toString' }, 400, 'InvalidPushType'],
    ['whose topic is not of its type', { 'apns-push-type': 'voip' }, 400, 'BadTopic'],
    ['under a topic of others', { 'apns-topic': 'app.other' }, 400, 'TopicDisallowed'],
  ])('%s is refused', async (_what, headers, status, reason) => {
    simulator.settings.topics = [TOPIC, `${TOPIC}.voip`];
    expect(await provider.send(headers)).toMatchObject({ status, reason });
  });

  it.each(['', 'x', '"aps"', '[]', 'null'])('with the payload %j is refused', async (payload) => {
    expect(await provider.send({}, payload)).toMatchObject({ status: 400, reason: 'PayloadEmpty' });
  });

  it('may be longer for a call', async () => {
    const long = JSON.stringify({ aps: {}, text: 'x'.repeat(5000) });
    expect(await provider.send({}, long)).toMatchObject({ status: 413 });
    const call = { 'apns-push-type': 'voip', 'apns-topic': `${TOPIC}.voip` };
    expect(await provider.send(call, long)).toMatchObject({ status: 200 });
  });

  it('is known again by an id of the sandbox alone, and only when it was taken', async () => {
    simulator.settings.environment = 'sandbox';
    const { headers } = await provider.send();
    expect(headers['apns-unique-id']).toMatch(/^[0-9a-f-]{36}$/);
    const refused = await provider.send({}, '');
    expect(refused.status).toBe(400);
    expect(refused.headers).not.toHaveProperty('apns-unique-id');
    for (const environment of ['production', null] as const) {
      simulator.settings.environment = environment;
      expect((await provider.send()).headers).not.toHaveProperty('apns-unique-id');
    }
  });
});

describe('a phone', () => {
  it.each([
    [{ environment: 'production' }, { status: 400, reason: 'BadDeviceToken' }],
    [{ environment: 'sandbox' }, { status: 200 }],
    [{ topic: 'app.muster.customer' }, { status: 400, reason: 'DeviceTokenNotForTopic' }],
    [{ topic: TOPIC }, { status: 200 }],
    [{ goneSince: 17 }, { status: 410, reason: 'Unregistered', timestamp: 17 }],
    [{ expiredSince: 18 }, { status: 410, reason: 'ExpiredToken', timestamp: 18 }],
  ] as const)('registered as %j', async (registration, answer) => {
    simulator.settings.environment = 'sandbox';
    simulator.registry.register(TOKEN, registration);
    expect(await provider.send()).toMatchObject(answer);
  });

  it('answers one thing after the other, and the last for good', async () => {
    simulator.faults.setAnswers(TOKEN, [
      { kind: 'status', status: 503, reason: 'ServiceUnavailable' },
      { kind: 'refuse' },
      { kind: 'none' },
    ]);
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await provider.send()).status);
    expect(statuses).toEqual([503, 0, 200, 200]);
    expect(await provider.to('b'.repeat(64))).toMatchObject({ status: 200 });
  });

  it('is not pushed more often than Apple likes', async () => {
    simulator.settings.rate = { max: 2, perMs: 60_000 };
    const phone = 'c'.repeat(64);
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await provider.to(phone)).status);
    expect(statuses).toEqual([200, 200, 429, 429]);
    expect(await provider.to('d'.repeat(64))).toMatchObject({ status: 200 });
  });

  it('that was offline gets the last push of each app, unless it is too old', async () => {
    const phone = 'e'.repeat(64);
    const tell = (text: string, headers = {}) =>
      provider.to(phone, headers, JSON.stringify({ aps: { alert: text } }));
    const shown = () =>
      simulator.phones.shown(phone).map((one) => (one as { aps: { alert: string } }).aps.alert);
    const inAnHour = String(Math.floor(Date.now() / 1000) + 3600);
    simulator.phones.setOffline(phone, true);
    await tell('first', { 'apns-expiration': inAnHour });
    await tell('second', { 'apns-expiration': inAnHour });
    await tell('now or never', { 'apns-expiration': '0' });
    await tell('too old', { 'apns-topic': 'app.other', 'apns-expiration': '1' });
    await tell('without end', { 'apns-topic': 'app.muster.customer' });
    expect(shown()).toEqual([]);
    simulator.phones.setOffline(phone, false);
    expect(shown()).toEqual(['second', 'without end']);
    await tell('third');
    expect(shown()).toEqual(['second', 'without end', 'third']);
  });
});

describe('an answer', () => {
  /** Timers end a little early. */
  const EARLY_MS = 5;
  async function took(work: () => Promise<unknown>): Promise<number> {
    const started = performance.now();
    await work();
    return performance.now() - started + EARLY_MS;
  }

  it('takes its time, whatever it is', async () => {
    simulator.settings.latency = { medianMs: 100, sigma: 0 };
    simulator.faults.add({ kind: 'status', count: 1, status: 500, reason: 'InternalServerError' });
    const answers: number[] = [];
    const push = async () => answers.push((await provider.send()).status);
    expect(await took(push)).toBeGreaterThanOrEqual(100);
    expect(await took(push)).toBeGreaterThanOrEqual(100);
    expect(answers).toEqual([500, 200]);
  });

  it('waits for its turn on a connection with a ceiling', async () => {
    await provider.send();
    await provider.allows(1000);
    simulator.settings.perSecond = 100;
    const burst = () => Promise.all(Array.from({ length: 30 }, () => provider.send()));
    expect(await took(burst)).toBeGreaterThanOrEqual(300);
  });
});
