/** Redis cut, emptied, frozen, gone: clients are told, nothing is lost, nobody is disconnected. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HERE } from '../../support/engine.ts';
import { startTestFeed, TestClient, type TestFeed } from '../../support/feed.ts';
import { configure, emptyRedis } from '../../support/redis-keys.ts';
import { until } from '../../support/until.ts';

let t: TestFeed;
let drivers: { id: string; client: TestClient }[];

beforeEach(async () => {
  t = await startTestFeed();
  drivers = [];
  for (const gateway of [0, 1] as const) {
    const id = `d${gateway}`;
    await t.driver(id);
    const client = await TestClient.connect(t.gateways[gateway].url, 'driver', id);
    drivers.push({ id, client });
  }
});
afterEach(() => {
  for (const { client } of drivers) client.ws.terminate();
});

/** Every feed equals what `available` says. */
const exact = () =>
  until(async () => {
    for (const { id, client } of drivers) {
      const known = await t.engine.drivers.know(id);
      const truth = known ? await t.engine.jobs.available(known) : [];
      const feed = client.feed();
      if (truth.length !== feed.size) return false;
      if (!truth.every((job) => feed.get(job.id) === job.version)) return false;
    }
    return true;
  });
const have = (id: string) => until(() => drivers.every(({ client }) => client.feed().has(id)));
const nobodyClosed = () => {
  for (const { client } of drivers) expect(client.closed).toBeNull();
};

describe('Redis', () => {
  it('that comes back empty is filled again: feeds, drivers and positions', async () => {
    const before = await t.post();
    await have(before.id);
    const taken = await t.post();
    await have(taken.id);
    await emptyRedis(t.ctx.redis);
    await t.engine.jobs.claim(taken.id, 'd0');
    const after = await t.post();
    await have(after.id);
    await until(() => drivers.every(({ client }) => !client.feed().has(taken.id)));
    await exact();
    expect(drivers[0]?.client.feed().has(before.id)).toBe(true);
    // Nobody sent a fix since, and yet they are found where they are.
    const known = await t.engine.drivers.know('d1');
    expect(known?.position).toMatchObject(HERE);
    nobodyClosed();
  });

  it('that freezes is told as degraded, and as live when it answers again', async () => {
    const before = await t.post();
    await have(before.id);
    t.redis.freeze();
    try {
      for (const { client } of drivers) await client.next('feed:degraded');
    } finally {
      t.redis.thaw();
    }
    for (const { client } of drivers) await client.next('feed:live');
    const after = await t.post();
    await have(after.id);
    await exact();
    nobodyClosed();
  });

  it('that is killed and comes back empty: what was posted meanwhile is there at the end', async () => {
    await t.redis.kill();
    for (const { client } of drivers) await client.next('feed:degraded');
    const meanwhile = await t.post();
    expect(await t.engine.jobs.claim(meanwhile.id, 'd0')).toMatchObject({ code: 'try_again' });
    await t.redis.restart();
    for (const { client } of drivers) await client.next('feed:live');
    await have(meanwhile.id);
    await exact();
    expect(await t.engine.jobs.claim(meanwhile.id, 'd0')).toMatchObject({ ok: true });
    await until(() => drivers.every(({ client }) => !client.feed().has(meanwhile.id)));
    nobodyClosed();
  });

  it('that comes back empty is told as live after the snapshot that makes it true, whoever is told', async () => {
    const { url } = t.gateways[0];
    const connected = [
      await TestClient.connect(url, 'customer', 'c1'),
      await TestClient.connect(url, 'operator', 'o1'),
      ...drivers.map(({ client }) => client),
    ];
    const { id } = await t.post();
    await t.engine.jobs.claim(id, 'd0');
    await connected[0]?.next('job:status');
    await t.redis.kill();
    for (const client of connected) await client.next('feed:degraded');
    await t.redis.restart();
    for (const client of connected) {
      await client.next('feed:live');
      const events = client.frames.map(({ event }) => event);
      const outage = events.slice(events.indexOf('feed:degraded'), events.indexOf('feed:live'));
      expect(outage.some((event) => event.endsWith(':snapshot'))).toBe(true);
    }
    nobodyClosed();
  });

  it('that refuses writes is told as degraded, and as live when it takes them again', async () => {
    await configure(t.ctx.redis, 'min-replicas-to-write', '1');
    for (const { client } of drivers) await client.next('feed:degraded');
    await configure(t.ctx.redis, 'min-replicas-to-write', '0');
    for (const { client } of drivers) await client.next('feed:live');
    const after = await t.post();
    await have(after.id);
    await exact();
    nobodyClosed();
  });

  it('whose channels are deaf is found by comparing', async () => {
    const before = await t.post();
    await have(before.id);
    t.channels.deaf = true;
    const jobs = [];
    for (let i = 0; i < 20; i++) jobs.push(await t.post());
    await have(jobs.at(-1)?.id ?? '');
    await exact();
    for (const { client } of drivers) {
      const order = client.of('job:new').map((job) => job.id);
      expect(order.slice(-20)).toEqual(jobs.map((job) => job.id));
    }
    nobodyClosed();
  });
});
