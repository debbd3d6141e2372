/** What others' gateways were reported for, tried on ours: docs/field-reports.md says where each comes from. */
import { beforeAll, expect, it } from 'vitest';
import { HERE } from '../../support/engine.ts';
import { startTestFeed, TestClient, type TestFeed, tokenFor } from '../../support/feed.ts';
import { frameOf, RawSocket, upgradeRequest } from '../../support/raw-socket.ts';
import { configure } from '../../support/redis-keys.ts';
import { ask } from '../../support/redis-servers.ts';
import { until } from '../../support/until.ts';

const DAY_S = 86_400;
/** The longest time that a timer of Node can wait is 24.8 days; a longer one fires at once. */
const LONG_LIVES_S = [40 * DAY_S, 365 * DAY_S];

let t: TestFeed;
let url: string;
beforeAll(async () => {
  t = await startTestFeed();
  url = t.gateways[0].url;
  await Promise.all(['d1', 'd2'].map((id) => t.driver(id)));
});

it('a frame that comes in one packet with the upgrade is answered', async () => {
  const raw = await RawSocket.connect(Number(new URL(url).port));
  const frame = frameOf({ payload: '{"event":"heartbeat","data":{},"ref":"first"}' });
  const request = upgradeRequest(await tokenFor('driver', 'd1'));
  await raw.write(Buffer.concat([Buffer.from(request), frame]));
  await until(() => raw.events.includes('ack'));
  raw.socket.destroy();
});

it.each(LONG_LIVES_S)('a token that is good for %i s keeps its socket open', async (ttlS) => {
  const client = await TestClient.connect(url, 'driver', 'd1', ttlS);
  // Answered on the same socket after the gateway has looked at every one of them.
  const heartbeats = Date.now() + 1500;
  while (Date.now() < heartbeats) expect(await client.ask('heartbeat')).toMatchObject({ ok: true });
  expect(client.closed).toBeNull();
  await client.close();
});

it.each(['pubsub', 'normal'])(
  'jobs are told of after Redis has ended the %s connections',
  async (kind) => {
    const client = await TestClient.connect(url, 'driver', 'd2');
    const kill = (port: number) => ask({ port }, 'CLIENT', 'KILL', 'TYPE', kind, 'SKIPME', 'yes');
    const killed = await Promise.all(t.redis.ports.map(kill));
    expect(killed.reduce<number>((sum, count) => sum + Number(count), 0)).toBeGreaterThan(0);
    const job = await until(() => t.post().catch(() => undefined));
    await until(() => client.feed().has(job.id));
    expect(client.closed).toBeNull();
    await client.close();
  },
);

it('no job is missed when Redis ends subscribers that owe it a kilobyte', async () => {
  const client = await TestClient.connect(url, 'driver', 'd2');
  await configure(t.ctx.redis, 'client-output-buffer-limit', 'pubsub 1kb 1kb 1');
  const address = 'x'.repeat(190);
  const jobs = await Promise.all(
    Array.from({ length: 40 }, () => t.post({ address, position: HERE })),
  );
  await until(() => jobs.every(({ id }) => client.feed().has(id)));
  await configure(t.ctx.redis, 'client-output-buffer-limit', 'pubsub 32mb 8mb 60');
  await client.close();
});

it('who goes online after a job was posted is offered it', async () => {
  await t.engine.drivers.setAvailability('d1', false);
  const job = await t.post();
  const client = await TestClient.connect(url, 'driver', 'd1');
  expect(client.feed().has(job.id)).toBe(false);
  expect(await client.ask('availability', { online: true })).toMatchObject({ ok: true });
  await until(() => client.feed().has(job.id));
  await client.close();
});
