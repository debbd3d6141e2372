/** The simulator's control API, over HTTP as other processes use it. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Simulator } from '../../../scripts/apns-simulator/simulator.ts';
import { testSimulator } from '../../support/push.ts';
import { connectTo, newKey } from './provider.ts';

let simulator: Simulator;
let provider: Awaited<ReturnType<typeof connectTo>>;

beforeAll(async () => {
  simulator = await testSimulator();
});
beforeEach(async () => {
  simulator.faults.clear();
  provider = await connectTo(simulator);
});

describe('the control API', () => {
  const call = async (method: string, path: string, body?: object) => {
    const url = simulator.controlUrl + path;
    const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
    const text = await response.text();
    return { status: response.status, text };
  };

  it('answers nobody who does not know its address', async () => {
    const { origin } = new URL(simulator.controlUrl);
    for (const path of ['/pushes', '//pushes', '/stats', `/${'0'.repeat(32)}/pushes`]) {
      expect((await fetch(origin + path)).status, path).toBe(404);
    }
    expect((await call('GET', '/pushes')).status).toBe(200);
  });

  it('changes settings, phones and keys, and names what is wrong', async () => {
    for (const [path, body, error] of [
      ['/settings', { door: 'ajar' }, 'door must be open, mute, closed'],
      ['/settings', { rate: { max: 1 } }, 'rate must be null or {max, perMs}'],
      ['/settings', { toString: 1 }, 'toString: there is no such setting'],
      ['/phones/aa', { environment: 'moon' }, 'environment must be sandbox or production'],
      ['/phones/aa', { offline: 1 }, 'offline must be true or false'],
      ['/keys/K', { key: 'x' }, 'key (PEM) and teamId are needed'],
      ['/tokens/aa', { answers: [{ kind: 'x' }] }, 'kind must be one of none, status'],
    ] as const) {
      const answer = await call('PUT', path, body);
      expect(answer).toMatchObject({ status: 400, text: expect.stringContaining(error) });
    }
    expect(await call('PUT', '/settings', { topics: ['app.other'] })).toMatchObject({
      status: 200,
    });
    expect(await provider.send()).toMatchObject({ reason: 'TopicDisallowed' });
    await call('DELETE', '/settings');
    const key = newKey('CONTROLKEY', 'ATEAM');
    await call('PUT', '/keys/CONTROLKEY', { key: key.key, teamId: 'ATEAM' });
    expect(await (await connectTo(simulator, key)).send()).toMatchObject({ status: 200 });
    const phone = 'f'.repeat(64);
    await call('PUT', `/phones/${phone}`, { goneSince: 5, offline: true });
    expect(await provider.to(phone)).toMatchObject({ status: 410, timestamp: 5 });
  });

  it('holds pushes until they are released', async () => {
    await call('POST', '/faults', { kind: 'hold', count: 1 });
    const before = simulator.phones.records().length;
    const sent = provider.send();
    // Another connection's push has come and gone meanwhile.
    while (simulator.faults.met() === 0) await call('GET', '/stats');
    await (await connectTo(simulator)).send();
    expect(simulator.phones.records()).toHaveLength(before + 1);
    await call('POST', '/release');
    expect(await sent).toMatchObject({ status: 200 });
  });

  it('counts for Prometheus', async () => {
    await provider.send({ ':path': '/3/device/xx' });
    const { text } = await call('GET', '/metrics');
    expect(text).toMatch(/apns_simulator_pushes_total{status="200",reason=""} \d+\n/);
    expect(text).toMatch(/pushes_total{status="400",reason="BadDeviceToken"} \d+\n/);
    expect(text).toMatch(/\napns_simulator_connections \d+\n/);
  });
});
