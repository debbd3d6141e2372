/** The feed over two gateways, on real sockets: what drivers and customers are told. */
import { beforeAll, describe, expect, it } from 'vitest';
import { commitClaims } from '../../../engine/jobs/claim/commit.ts';
import { usersLog } from '../../../engine/redis/keys.ts';
import { appendLog } from '../../../engine/redis/log-scripts.ts';
import { HERE, northOf } from '../../support/engine.ts';
import { startTestFeed, TestClient, type TestFeed } from '../../support/feed.ts';
import { settleNow } from '../../support/maintenance.ts';
import { until } from '../../support/until.ts';

let t: TestFeed;
let count = 0;
/** A driver of this test alone, connected to one of the gateways. */
async function driver(gateway: 0 | 1, at = HERE, truckType?: string) {
  const id = `driver${++count}`;
  await t.driver(id, at, truckType);
  return { id, client: await TestClient.connect(t.gateways[gateway].url, 'driver', id) };
}
const available = async (id: string) => {
  const known = await t.engine.drivers.know(id);
  const jobs = known ? await t.engine.jobs.available(known) : [];
  return new Map(jobs.map((job) => [job.id, job.version]));
};
const settled = (id: string, client: TestClient) =>
  until(async () => {
    const [truth, feed] = [await available(id), client.feed()];
    return truth.size === feed.size && [...truth].every(([job, v]) => feed.get(job) === v);
  });

beforeAll(async () => {
  t = await startTestFeed();
});

describe('a driver', () => {
  it('is greeted, then sent all that he may see', async () => {
    const job = await t.post();
    const { client } = await driver(0);
    expect(client.frames.map((f) => f.event).slice(0, 2)).toEqual(['hello', 'feed:snapshot']);
    expect(client.of('hello')[0]).toMatchObject({ heartbeat_s: 25 });
    const [snapshot] = client.of('feed:snapshot');
    expect(snapshot.reason).toBe('connect');
    const offer = snapshot.jobs.find((j: { id: string }) => j.id === job.id);
    expect(offer).toMatchObject({ status: 'pending', version: 1, total_price: 120 });
    expect(offer).not.toHaveProperty('customer_id');
  });

  it('sees a new job on every gateway, and sees it go when it is taken on another', async () => {
    const [a, b] = [await driver(0), await driver(1)];
    const job = await t.post();
    await a.client.next('job:new', (j) => j.id === job.id);
    await b.client.next('job:new', (j) => j.id === job.id);
    const ack = await b.client.ask('accept', { job_id: job.id });
    expect(ack).toMatchObject({ ok: true, data: { success: true, job: { status: 'accepted' } } });
    const gone = await a.client.next('job:status', (d) => d.job_id === job.id);
    expect(gone).toEqual({ job_id: job.id, status: 'accepted', version: 2, driver_id: b.id });
    await b.client.next('job:status', (d) => d.job_id === job.id);
    const late = await a.client.ask('accept', { job_id: job.id });
    expect(late).toMatchObject({ ok: false, code: 'already_accepted' });
    expect(late.data.error).toBe('Job already accepted by another driver');
    await settled(a.id, a.client);
    await settled(b.id, b.client);
  });

  it('does not see what is out of range, for another truck, or posted while he is offline', async () => {
    const { id, client } = await driver(0);
    const far = await t.post({ position: northOf(31) });
    const van = await t.post({ truckType: 'van' });
    const near = await t.post();
    await client.next('job:new', (j) => j.id === near.id);
    expect(client.feed().has(far.id)).toBe(false);
    expect(client.feed().has(van.id)).toBe(false);
    expect(await client.ask('availability', { online: false })).toMatchObject({ ok: true });
    await client.next('feed:snapshot', (s) => s.reason === 'availability' && s.jobs.length === 0);
    await t.post();
    expect(await client.ask('availability', { online: true })).toMatchObject({ ok: true });
    await settled(id, client);
    expect(client.feed().has(near.id)).toBe(true);
  });

  it('who moves gains and loses jobs without asking', async () => {
    const { id, client } = await driver(1, northOf(200));
    const job = await t.post();
    expect(client.feed().has(job.id)).toBe(false);
    expect(await client.ask('location', { ...northOf(20), heading: 180 })).toMatchObject({
      ok: true,
    });
    await until(() => client.feed().has(job.id));
    await client.ask('location', northOf(40));
    await client.next('job:removed', (d) => d.job_id === job.id && d.reason === 'out_of_range');
    await settled(id, client);
    // Over HTTP at another process it is the same.
    const known = await t.gateways[0].engine.drivers.know(id);
    if (!known) throw new Error('unknown');
    const fix = { ...northOf(10), at: Date.now(), heading: null };
    await t.gateways[0].engine.drivers.track(known, fix);
    await until(() => client.feed().has(job.id));
    await settled(id, client);
  });

  it('who declines is rid of the job for good, the others are not', async () => {
    const [a, b] = [await driver(0), await driver(1)];
    const job = await t.post();
    await a.client.next('job:new', (j) => j.id === job.id);
    await b.client.next('job:new', (j) => j.id === job.id);
    expect(await a.client.ask('decline', { job_id: job.id, reason: 'far' })).toMatchObject({
      ok: true,
    });
    await a.client.next('job:removed', (d) => d.job_id === job.id && d.reason === 'declined');
    expect(b.client.feed().has(job.id)).toBe(true);
    const again = await TestClient.connect(t.gateways[1].url, 'driver', a.id);
    expect(again.feed().has(job.id)).toBe(false);
  });

  it('who gives a job back does not see it again, everybody else does', async () => {
    const [a, b] = [await driver(0), await driver(1)];
    const job = await t.post();
    await b.client.next('job:new', (j) => j.id === job.id);
    await a.client.ask('accept', { job_id: job.id });
    await b.client.next('job:status', (d) => d.job_id === job.id);
    await t.engine.jobs.release(job.id, a.id, null);
    await b.client.next('job:new', (j) => j.id === job.id && j.version === 3);
    await settled(a.id, a.client);
    await settled(b.id, b.client);
    expect(a.client.feed().has(job.id)).toBe(false);
  });

  it('is told by name, once, that an operator took his job from him', async () => {
    const { id, client } = await driver(0);
    const job = await t.post();
    await client.next('job:new', (d) => d.id === job.id);
    await client.ask('accept', { job_id: job.id });
    const result = await t.engine.jobs.releaseByOperator(job.id, 'operator:o', null);
    const told = await client.next('job:status', (d) => d.job_id === job.id && d.version === 3);
    expect(told).toEqual({ job_id: job.id, status: 'pending', version: 3 });
    // By his zone he is not offered it; told again, he hears nothing.
    await settled(id, client);
    if (result.ok) await settleNow(t.engine.ctx, { ...result.job, settledVersion: 2 });
    const next = await t.post();
    await client.ask('accept', { job_id: next.id });
    await t.engine.jobs.cancel(next.id, 'operator:o', null);
    await client.next('notification', (d) => d.data.job_id === next.id);
    expect(client.of('job:status').filter((d) => d.job_id === job.id)).toHaveLength(2);
    await client.close();
  });

  it('is told nothing of a job that he gave back meanwhile', async () => {
    const { id, client } = await driver(0);
    const job = await t.post();
    await client.next('job:new', (d) => d.id === job.id);
    const { ctx } = t.engine;
    const claim = { jobId: job.id, version: 1, driverId: id };
    const [accepted] = await commitClaims(ctx.db, [claim], { wait: true, maxActiveJobs: 0 });
    await t.engine.jobs.release(job.id, id, null);
    await client.next('job:removed', (d) => d.job_id === job.id && d.version === 3);
    if (accepted) await settleNow(ctx, accepted);
    // What he is told by name comes in order: with this he has heard all before it.
    const next = await t.post();
    await t.engine.jobs.claim(next.id, id);
    await t.engine.jobs.cancel(next.id, 'operator:o', null);
    await client.next('notification', (d) => d.data.job_id === next.id);
    expect(client.of('job:status').filter((d) => d.job_id === job.id)).toEqual([]);
    await client.close();
  });

  it("is not offered what he has taken, where the news of that overtook the job's", async () => {
    const { id, client } = await driver(0);
    const { ctx } = t.engine;
    const job = await t.post();
    await client.next('job:new', (d) => d.id === job.id);
    const data = { job_id: job.id, status: 'accepted', version: 3, driver_id: id };
    const told = { user: id, app: 'driver', event: 'job:status', data, job: null };
    await appendLog(ctx.redis, usersLog, [JSON.stringify(told)]);
    await client.next('job:status', (d) => d.job_id === job.id && d.version === 3);
    await t.engine.jobs.confirm(job.id, 'operator:o');
    // In the order of the log: with this he was shown all before it.
    const next = await t.post();
    await client.next('job:new', (d) => d.id === next.id);
    await client.ask('availability', { online: false });
    await client.ask('availability', { online: true });
    const { jobs } = await client.next(
      'feed:snapshot',
      (s) => s.reason === 'availability' && s.jobs.length > 0,
    );
    const offered = jobs.map((d: { id: string }) => d.id);
    expect(offered).toContain(next.id);
    expect(offered).not.toContain(job.id);
    expect(client.of('job:new').filter((d) => d.id === job.id)).toHaveLength(1);
    await client.close();
  });

  it('is told of changes that keep a job open, and of its reservation', async () => {
    const [a, b] = [await driver(0), await driver(1)];
    const job = await t.post();
    await a.client.next('job:new', (j) => j.id === job.id);
    await b.client.next('job:new', (j) => j.id === job.id);
    await t.engine.jobs.confirm(job.id, 'operator:o');
    await a.client.next('job:status', (d) => d.job_id === job.id && d.status === 'confirmed');
    await t.engine.jobs.assign(job.id, b.id, 'operator:o');
    await a.client.next('job:removed', (d) => d.job_id === job.id && d.reason === 'reserved');
    await b.client.next('job:status', (d) => d.job_id === job.id && d.status === 'assigned');
    expect(await a.client.ask('accept', { job_id: job.id })).toMatchObject({ code: 'reserved' });
    expect(await b.client.ask('accept', { job_id: job.id })).toMatchObject({ ok: true });
  });

  it('loses a job whose time ran out', async () => {
    const { id, client } = await driver(0);
    const job = await t.post({ expiresAt: Date.now() + 700 });
    await client.next('job:new', (j) => j.id === job.id);
    await until(() => !client.feed().has(job.id));
    await settled(id, client);
  });

  it('who has no profile yet starts with nothing and gets his feed when he is approved', async () => {
    const client = await TestClient.connect(t.gateways[0].url, 'driver', 'newcomer');
    expect(client.feed().size).toBe(0);
    expect(await client.ask('location', HERE)).toMatchObject({
      ok: false,
      code: 'driver_not_found',
    });
    const job = await t.post({ position: null });
    await t.driver('newcomer');
    await until(() => client.feed().has(job.id));
    await settled('newcomer', client);
  });

  it('who is suspended is closed with 4501', async () => {
    const { id, client } = await driver(1);
    await t.engine.drivers.change(id, { approvalStatus: 'suspended' });
    await until(() => client.closed);
    expect(client.closed?.code).toBe(4501);
    expect(client.of('error').at(-1)).toMatchObject({ code: 'suspended' });
  });
});
