/**
 * The feed follows the driver, whatever moves him in or out of a job's reach: along a zone's
 * border, at the very edge of the radius, at another process, silent, full, suspended.
 */

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { distanceKm } from '../../../engine/domain/distance.ts';
import { zoneOf } from '../../../engine/domain/zones.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { findJob } from '../../../engine/pg/jobs.ts';
import { usersLog } from '../../../engine/redis/keys.ts';
import { appendLog } from '../../../engine/redis/log-scripts.ts';
import { HERE, northOf } from '../../support/engine.ts';
import { startTestFeed, TestClient, type TestFeed } from '../../support/feed.ts';
import { settleNow } from '../../support/maintenance.ts';
import { until } from '../../support/until.ts';

/** Short enough to wait for, long enough for a busy machine to pass on a pong in time. */
const STALE_MS = 3000;
const MAX_ACTIVE_JOBS = 1;
const RADIUS_KM = 30;

let t: TestFeed;
let count = 0;

beforeAll(async () => {
  t = await startTestFeed({ driverStaleMs: STALE_MS, driverMaxActiveJobs: MAX_ACTIVE_JOBS });
});

async function driver(at: { lat: number; lng: number }) {
  const id = `driver${++count}`;
  await t.driver(id, at);
  return { id, client: await TestClient.connect(t.gateways[count % 2 ? 0 : 1].url, 'driver', id) };
}

/** A fix over HTTP at the process that the driver is not connected to. */
async function fixElsewhere(id: string, at: { lat: number; lng: number }): Promise<void> {
  const { engine } = t.gateways[Number(id.slice('driver'.length)) % 2 ? 1 : 0];
  const known = await engine.drivers.know(id);
  if (!known) throw new Error(`${id} is not known`);
  await engine.drivers.track(known, { ...at, at: Date.now(), heading: null });
}

/** The feed equals `GET /api/drivers/jobs/available`. */
const settled = (id: string, client: TestClient) =>
  until(async () => {
    const known = await t.engine.drivers.know(id);
    const jobs = known ? await t.engine.jobs.available(known) : [];
    const feed = client.feed();
    return jobs.length === feed.size && jobs.every((job) => feed.get(job.id) === job.version);
  });

/** The point north of `HERE` at which the next zone begins, between `a` and `b` km. */
function border(a: number, b: number): number {
  const [from, to] = [zoneOf(northOf(a)), zoneOf(northOf(b))];
  expect(from).not.toBe(to);
  let [low, high] = [a, b];
  while (high - low > 0.001) {
    const middle = (low + high) / 2;
    if (zoneOf(northOf(middle)) === from) low = middle;
    else high = middle;
  }
  return low;
}

describe('the feed of a driver', () => {
  it('at a zone border holds the jobs of both sides, whichever side he is on', async () => {
    const km = border(0, 130);
    const [south, north] = [northOf(km - 0.05), northOf(km + 0.05)];
    const jobs = [await t.post({ position: south }), await t.post({ position: north })];
    expect(zoneOf(south)).not.toBe(zoneOf(north));
    const { id, client } = await driver(south);
    const both = () => jobs.every((job) => client.feed().has(job.id));
    expect(both()).toBe(true);
    const snapshots = client.of('feed:snapshot').length;
    for (const at of [north, south, north]) {
      await client.ask('location', at);
      await settled(id, client);
      expect(both()).toBe(true);
    }
    const late = await t.post({ position: south });
    await client.next('job:new', (job) => job.id === late.id);
    // Nothing was taken away on the way and given back.
    expect(client.of('job:removed')).toEqual([]);
    expect(client.of('feed:snapshot').length).toBeLessThanOrEqual(snapshots + 1);
  });

  it('leaves out a job that very many declined, for each of them, also in its next wave', async () => {
    const job = await t.post({ position: northOf(2000) });
    const { id, client } = await driver(northOf(2000));
    const other = await driver(northOf(2000));
    await until(() => client.feed().has(job.id) && other.client.feed().has(job.id));
    for (let i = 0; i < 60; i++) {
      await t.ctx.db.execute(sql`
        insert into job_refusals (job_id, driver_id, kind) values (${job.id}, ${`x${i}`}, 'declined')`);
    }
    expect(await t.engine.jobs.decline(job.id, id, null)).toMatchObject({ ok: true });
    await until(() => !client.feed().has(job.id));
    // Its entry names none of them: the zone is read anew.
    await t.engine.jobs.confirm(job.id, 'operator:o');
    await until(() => other.client.feed().get(job.id) === 2);
    expect(client.feed().has(job.id)).toBe(false);
  });

  it('turns at the very edge of the radius, metre by metre', async () => {
    const job = await t.post({ position: northOf(500) });
    const { client } = await driver(northOf(500 - RADIUS_KM + 0.5));
    await until(() => client.feed().has(job.id));
    for (const metres of [3, -3, 2, -2, 1, -1]) {
      const at = northOf(500 - RADIUS_KM - metres / 1000);
      const inside = distanceKm(at, northOf(500)) <= job.radiusKm;
      await client.ask('location', at);
      await until(() => client.feed().has(job.id) === inside);
    }
  });

  it('follows a driver who is moved at another process, near and far', async () => {
    const near = await t.post({ position: northOf(800) });
    const far = await t.post({ position: northOf(1400) });
    const { id, client } = await driver(northOf(800));
    await until(() => client.feed().has(near.id));
    await fixElsewhere(id, northOf(1400));
    await until(() => client.feed().has(far.id) && !client.feed().has(near.id));
    await settled(id, client);
    await fixElsewhere(id, northOf(801));
    await until(() => client.feed().has(near.id) && !client.feed().has(far.id));
    await settled(id, client);
  });

  it('is empty while he is silent, and full again when he is heard of', async () => {
    const job = await t.post();
    const { id, client } = await driver(HERE);
    await until(() => client.feed().has(job.id));
    // His phone sleeps: it answers no ping.
    client.ws.pong = () => {};
    await client.next('feed:snapshot', ({ reason, jobs }) => {
      return reason === 'availability' && jobs.length === 0;
    });
    await settled(id, client);
    client.send('heartbeat');
    await until(() => client.feed().has(job.id));
    expect(client.closed).toBeNull();
  });

  it('is empty at his job limit and full again when he has finished', async () => {
    const [mine, other] = [await t.post(), await t.post()];
    const { id, client } = await driver(HERE);
    await until(() => client.feed().has(mine.id) && client.feed().has(other.id));
    expect(await client.ask('accept', { job_id: mine.id })).toMatchObject({ ok: true });
    await until(() => client.feed().size === 0);
    await settled(id, client);
    await t.gateways[1].engine.jobs.progress(mine.id, id, 'completed');
    await until(() => client.feed().has(other.id));
    await settled(id, client);
  });

  it('is rid of a job that he had back, also when late news of his first time came meanwhile', async () => {
    const [id, other] = [`driver${++count}`, `driver${++count}`];
    await t.driver(id);
    await t.driver(other);
    const job = await t.post();
    expect(await t.engine.jobs.claim(job.id, id)).toMatchObject({ ok: true });
    const accepted = await findJob(t.ctx.db, job.id);
    if (!accepted) throw new Error('no such job');
    await t.engine.jobs.release(job.id, id, null);
    await t.engine.jobs.assign(job.id, id, 'operator:o');
    // A session that was not there before: all that it knows is the snapshot.
    const client = await TestClient.connect(t.gateways[0].url, 'driver', id);
    await until(() => client.feed().get(job.id) === 4);
    await settleNow(t.ctx, accepted);
    // In the order of the log: with this he was told all before it by name.
    const data = { job_id: job.id, type: 'job_update', version: 4 };
    const note = { id: 'n1', type: 'job_cancelled', title: 'a', body: 'b', data };
    const told = { user: id, app: 'driver', event: 'notification', data: note, job: null };
    await appendLog(t.ctx.redis, usersLog, [JSON.stringify(told)]);
    await client.next('notification', (d) => d.id === note.id);
    await t.engine.jobs.assign(job.id, other, 'operator:o');
    await client.next('job:removed', (d) => d.job_id === job.id && d.version === 5);
    await settled(id, client);
  });

  it('equals the list after any walk, told over the socket or at another process', async () => {
    const places = [2100, 2120, 2129.9, 2131, 2150, 2180];
    for (const km of places) await t.post({ position: northOf(km) });
    const { id, client } = await driver(northOf(2100));
    const step = fc.record({
      km: fc.oneof(
        fc.double({ min: 2060, max: 2220, noNaN: true }),
        fc.constantFrom(...places.flatMap((km) => [km - RADIUS_KM, km + RADIUS_KM, km])),
      ),
      elsewhere: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (walk) => {
        for (const { km, elsewhere } of walk) {
          if (elsewhere) await fixElsewhere(id, northOf(km));
          else await client.ask('location', northOf(km));
        }
        await settled(id, client);
      }),
      { numRuns: 25 },
    );
    expect(client.closed).toBeNull();
  });
});
