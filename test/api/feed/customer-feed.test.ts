/** The feed as a customer has it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { findJob } from '../../../engine/pg/jobs.ts';
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
const connectCustomer = (gateway: 0 | 1, id: string) =>
  TestClient.connect(t.gateways[gateway].url, 'customer', id);

beforeAll(async () => {
  t = await startTestFeed();
});

describe('a customer', () => {
  it('is told nothing that a later change has overtaken, but every notification', async () => {
    const customer = await connectCustomer(0, 'late');
    const { id } = await driver(0);
    const job = await t.post({ customerId: 'late' });
    await t.engine.jobs.claim(job.id, id);
    const accepted = await findJob(t.engine.ctx.db, job.id);
    await customer.next('job:status', (d) => d.version === 2);
    await t.engine.jobs.release(job.id, id, null);
    await customer.next('job:status', (d) => d.version === 3);
    const before = customer.of('job:driver-assigned').length;
    if (accepted) await settleNow(t.engine.ctx, accepted);
    await until(
      () => customer.of('notification').filter((n) => n.type === 'driver_assigned').length === 2,
    );
    expect(customer.of('job:status').map((d) => d.version)).toEqual([1, 2, 3]);
    expect(customer.of('job:driver-assigned')).toHaveLength(before);
  });

  it('is told who is coming, where he is, and how it ends', async () => {
    const { id, client } = await driver(0);
    const customer = await connectCustomer(1, 'alice');
    const job = await t.post({ customerId: 'alice' });
    await client.next('job:new', (j) => j.id === job.id);
    await client.ask('accept', { job_id: job.id });
    expect(await customer.next('job:driver-assigned')).toEqual({
      job_id: job.id,
      driver: { id, name: `Driver ${id}`, truck_type: null, avg_rating: null, total_jobs: 0 },
    });
    await customer.next('job:status', (d) => d.status === 'accepted' && d.version === 2);
    expect(await customer.next('notification')).toMatchObject({
      title: 'Driver Assigned',
      body: 'A driver has accepted your job!',
      data: { job_id: job.id, type: 'job_update', version: 2 },
    });
    await client.ask('location', { ...northOf(3), heading: 90 });
    const seen = await customer.next('driver:location', (d) => d.heading === 90);
    expect(seen).toMatchObject({ job_id: job.id, ...northOf(3) });
    await t.engine.jobs.progress(job.id, id, 'completed');
    await customer.next('job:status', (d) => d.status === 'completed');
  });

  it('finds his active jobs when he comes back, with the driver', async () => {
    const { id, client } = await driver(0);
    const job = await t.post({ customerId: 'bob' });
    await client.ask('accept', { job_id: job.id });
    const customer = await connectCustomer(1, 'bob');
    const [snapshot] = customer.of('feed:snapshot');
    expect(snapshot.jobs).toHaveLength(1);
    expect(snapshot.jobs[0]).toMatchObject({ id: job.id, customer_id: 'bob', driver: { id } });
    await customer.next('driver:location', (d) => d.job_id === job.id);
  });

  it('hears nothing of the jobs of others and may not do what drivers do', async () => {
    const customer = await connectCustomer(0, 'carol');
    const { client } = await driver(0);
    const job = await t.post({ customerId: 'dave' });
    await client.ask('accept', { job_id: job.id });
    expect(await customer.ask('accept', { job_id: job.id })).toMatchObject({
      ok: false,
      code: 'forbidden',
    });
    expect(customer.of('job:status')).toEqual([]);
  });
});
