/** What operators and viewers see: everything, as Postgres has it, and positions where they look. */
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Role } from '../../../api/auth.ts';
import { createHostOf } from '../../../api/forwarded-host.ts';
import { cellOf, isInBox, resolutionFor } from '../../../engine/domain/cells.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { HERE, northOf } from '../../support/engine.ts';
import {
  serveGateway,
  startTestFeed,
  TestClient,
  type TestFeed,
  tokenFor,
} from '../../support/feed.ts';
import { boardOf, toldBy } from '../../support/ops-board.ts';
import { until } from '../../support/until.ts';

type Place = { lat: number | null; lng: number | null };
/** The whole world. */
const WORLD = [-180, -90, 180, 90] as const;

const isThere = (row: Place, shown?: Place) => row.lat === shown?.lat && row.lng === shown?.lng;

describe('the feed of operators', () => {
  let t: TestFeed;
  beforeAll(async () => {
    t = await startTestFeed();
  });

  const connect = (gateway: 0 | 1, role: Role = 'operator', sub = 'o1') =>
    TestClient.connect(t.gateways[gateway].url, role, sub);

  /** Job → status and version, and driver → state, by Postgres. */
  async function truth() {
    const jobs = await t.ctx.db.execute<{ id: string; told: string }>(sql`
      select id, status || ' ' || version || ' ' || coalesce(driver_id, '-') as told from jobs
      where status not in ('completed', 'cancelled', 'expired') order by id`);
    const drivers = await t.ctx.db.execute<{ id: string; told: string }>(sql`
      select id, case when approval_status <> 'approved' then approval_status
        when online then 'available' else 'offline' end as told from drivers order by id`);
    return JSON.stringify([[...jobs], [...drivers]]);
  }

  it('equals Postgres after whatever happened, on every gateway, for those who come late too', async () => {
    const early = [await connect(0), await connect(1, 'viewer', 'v1')];
    for (const client of early) await client.ask('view', { bbox: WORLD });
    const engines = t.gateways.map(({ engine }) => engine);
    let seed = 42;
    const random = (n: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % n;
    };
    for (let i = 0; i < 8; i++) await t.driver(`d${i}`, northOf(i));
    const jobs: string[] = [];
    const somebody = () => `d${random(10)}`;
    for (let i = 0; i < 150; i++) {
      const engine = engines[random(2)] ?? t.engine;
      const job = jobs[random(jobs.length || 1)] ?? '';
      const what = random(9);
      if (what < 3) jobs.push((await t.post({ position: northOf(random(200)) })).id);
      else if (what === 3) await engine.jobs.claim(job, somebody());
      else if (what === 4) await engine.jobs.cancel(job, 'operator:o1', null);
      else if (what === 5) await engine.jobs.progress(job, somebody(), 'completed');
      else if (what === 6) await engine.jobs.assign(job, somebody(), 'operator:o1');
      else if (what === 7) {
        const known = await engine.drivers.know(somebody());
        const fix = { ...northOf(random(200)), at: Date.now(), heading: null };
        if (known) await engine.drivers.track(known, fix);
      } else {
        const id = somebody();
        const approvalStatus = (['approved', 'approved', 'pending', 'suspended'] as const)[
          random(4)
        ];
        await engine.drivers.change(id, {
          name: `Driver ${i}`,
          ...(approvalStatus && { approvalStatus }),
        });
        if (random(2)) await engine.drivers.setAvailability(id, random(4) > 0);
      }
    }
    const clients = [...early, await connect(0, 'operator', 'o2')];
    for (const client of clients) await until(async () => toldBy(client) === (await truth()));
    // The same words as the list has, which asks Postgres.
    const listed = await t.engine.ops.drivers('o1', { limit: 100, cursor: undefined });
    if (!listed.ok) throw new Error('no list');
    for (const { id, state } of listed.rows) {
      expect({ id, state: boardOf(clients[0] as TestClient).drivers.get(id)?.state }).toEqual({
        id,
        state,
      });
    }
    // And where they are, also who moves while he is not at work.
    await t.engine.drivers.setAvailability('d0', false);
    for (const client of clients) await until(async () => toldBy(client) === (await truth()));
    const away = await t.engine.drivers.know('d0');
    const fix = { ...northOf(77), at: Date.now(), heading: null };
    if (away) await t.engine.drivers.track(away, fix);
    for (const client of early) {
      await until(async () => {
        const now = await t.engine.ops.drivers('o1', { limit: 100, cursor: undefined });
        const { drivers } = boardOf(client);
        return now.ok && now.rows.every((row) => isThere(row, drivers.get(row.id)));
      });
    }
    for (const client of clients) await client.close();
  });

  it('sends positions of the view only, once it has one, and of all in it when it is another one', async () => {
    const client = await connect(0);
    await t.driver('near', HERE);
    await t.driver('far', northOf(300));
    const move = async (id: string, at: { lat: number; lng: number }) => {
      const known = await t.engine.drivers.know(id);
      if (known) await t.engine.drivers.track(known, { ...at, at: Date.now(), heading: null });
    };
    await move('near', northOf(1));
    await client.next('ops:health');
    expect(client.of('ops:fixes')).toEqual([]);
    const around = (at: { lat: number; lng: number }) =>
      [at.lng - 0.5, at.lat - 0.5, at.lng + 0.5, at.lat + 0.5] as [number, number, number, number];
    expect(await client.ask('view', { bbox: around(HERE) })).toMatchObject({ ok: true });
    await move('far', northOf(301));
    await move('near', northOf(2));
    await until(() => boardOf(client).drivers.get('near')?.lat === northOf(2).lat);
    for (const fixes of client.of('ops:fixes')) {
      for (let i = 0; i < fixes.length; i += 3) {
        expect(isInBox({ lat: fixes[i + 1], lng: fixes[i + 2] }, around(HERE))).toBe(true);
      }
    }
    await client.ask('view', { bbox: around(northOf(300)) });
    await until(() => boardOf(client).drivers.get('far')?.lat === northOf(301).lat);
    // That nobody is there is told as well: whoever was seen there before has left.
    await client.ask('view', { bbox: around(northOf(900)) });
    await client.next('ops:fixes', (fixes) => fixes.length === 0);
    await client.close();
  });

  it('takes no view that is none, and nobody says what is not for him', async () => {
    const client = await connect(0);
    for (const bbox of [[0, 1, 0, 0], [0, 0, 0], [0, 0, 0, 91], 'x']) {
      expect(await client.ask('view', { bbox })).toMatchObject({ code: 'invalid_request' });
    }
    expect(await client.ask('accept', { job_id: 'x' })).toMatchObject({ code: 'forbidden' });
    expect(await client.ask('heartbeat')).toMatchObject({ ok: true });
    await t.driver('d100');
    const driver = await TestClient.connect(t.gateways[0].url, 'driver', 'd100');
    expect(await driver.ask('view', { bbox: WORLD })).toMatchObject({ code: 'forbidden' });
    await client.close();
    await driver.close();
  });

  it('tells its health, and that it is degraded and live again', async () => {
    const client = await connect(1);
    const job = await t.post();
    const open = ({ jobs }: { jobs: Record<string, number> }) => (jobs.pending ?? 0) > 0;
    expect(await client.next('ops:health', open)).toMatchObject({
      degraded_since: null,
      checks: { redis: 'ok', postgres: 'ok', scripts: 'ok', feed: 'ok' },
    });
    t.redis.freeze();
    try {
      await client.next('feed:degraded');
      await client.next('ops:health', (health) => health.degraded_since !== null);
      await client.next('ops:health', ({ checks }) => checks.feed === 'failed');
    } finally {
      t.redis.thaw();
    }
    await client.next('feed:live');
    await t.engine.jobs.cancel(job.id, 'operator:o1', null);
    await client.next('ops:job', (d) => d.id === job.id && d.status === 'cancelled');
    await until(async () => toldBy(client) === (await truth()));
    await client.close();
  });

  it('counts by cell where too many are in view, and tells of everybody once they are fewer', async () => {
    const many = 5000;
    await t.ctx.db.execute(sql`
      insert into drivers (id, name, lat, lng, position_at)
      select 'many' || n, 'Many', 48 + n * 0.0001, 2 + (n % 100) * 0.001, now()
      from generate_series(1, ${many}::int) n`);
    await t.driver('leaver', { lat: 48.1, lng: 2.05 });
    const client = await connect(0, 'viewer', 'v2');
    const bbox = [1, 47, 3, 50] as const;
    await client.ask('view', { bbox });
    const cells: Record<string, number> = await client.next('ops:cells');
    const expected: Record<string, number> = {};
    for (const { lat, lng } of boardOf(client).drivers.values()) {
      if (lat === null || !isInBox({ lat, lng }, bbox)) continue;
      const cell = cellOf({ lat, lng }, resolutionFor(bbox));
      expected[cell] = (expected[cell] ?? 0) + 1;
    }
    expect(cells).toEqual(expected);
    expect(Object.values(cells).reduce((a, b) => a + b)).toBe(many + 1);
    expect(client.of('ops:fixes')).toEqual([]);
    const leaver = await t.engine.drivers.know('leaver');
    if (!leaver) throw new Error('no leaver');
    await t.engine.drivers.track(leaver, { ...HERE, at: Date.now(), heading: null });
    const fixes: number[] = await client.next('ops:fixes');
    expect(fixes.length / 3).toBe(many);
    await client.close();
  });

  it("opens to the console's cookie, for pages of this site and those who may read all", async () => {
    const url = t.gateways[0].url.replace('/ws', '/ops/feed');
    const { host } = new URL(url);
    const cookie = async (role: string) => `muster_ops=${await tokenFor(role, 'o9')}`;
    const origin = `http://${host}`;
    const client = TestClient.open(url, { cookie: await cookie('operator'), origin });
    await client.next('ops:snapshot');
    await client.close();
    const refused = async (headers: Record<string, string>) => {
      const ws = new WebSocket(url, { headers });
      ws.on('error', () => {});
      const [, response] = await once(ws, 'unexpected-response');
      ws.terminate();
      return response.statusCode;
    };
    const elsewhere = 'http://elsewhere.example';
    expect(await refused({ cookie: await cookie('operator'), origin: elsewhere })).toBe(403);
    expect(await refused({ cookie: await cookie('operator') })).toBe(403);
    expect(await refused({ cookie: await cookie('driver'), origin })).toBe(403);
    expect(await refused({ origin })).toBe(401);
    const authorization = `Bearer ${await tokenFor('operator', 'o9')}`;
    expect(await refused({ authorization, origin })).toBe(401);
  });

  it('takes the host that a trusted proxy forwards for that of its page, and of nobody else', async () => {
    const cookie = `muster_ops=${await tokenFor('operator', 'o9')}`;
    const headers = { cookie, origin: 'https://ops.example', 'x-forwarded-host': 'ops.example' };
    const open = async (trusted: string[]) => {
      const { url } = await serveGateway(t.engine, { hostOf: createHostOf(trusted) });
      const ws = new WebSocket(url.replace('/ws', '/ops/feed'), { headers });
      ws.on('error', () => {});
      const opened = once(ws, 'open').then(() => true);
      const answer = await Promise.race([
        opened,
        once(ws, 'unexpected-response').then(() => false),
      ]);
      ws.terminate();
      return answer;
    };
    expect(await open(['127.0.0.0/8'])).toBe(true);
    expect(await open(['10.0.0.0/8'])).toBe(false);
    expect(await open([])).toBe(false);
  });
});
