/**
 * Ten thousand pushes through everything that APNs does to its senders: goodbyes, connections that
 * break before and after a push was taken, answers that never come, throttling and outages.
 */

import { describe, expect, it } from 'vitest';
import { sql } from '../../../engine/pg/drizzle.ts';
import { countUndone } from '../../../engine/pg/notifications.ts';
import type { Fault } from '../../../scripts/apns-simulator/faults.ts';
import { startMaintenance } from '../../support/maintenance.ts';
import { startTestPush } from '../../support/push.ts';
import { addNotifications, addPhones, postTo, tally, tokenOf } from '../../support/push-crowd.ts';
import { until } from '../../support/until.ts';

const DRIVERS = 8000;
const CUSTOMERS = 2000;
const PATIENCE_MS = 120_000;

const STORM: Fault[] = [
  { kind: 'goaway', count: 10, every: 60 },
  { kind: 'lose', count: 3, every: 100 },
  { kind: 'status', count: 30, every: 4, status: 429, reason: 'TooManyRequests' },
  { kind: 'goaway', count: 5, every: 70, twice: true },
  { kind: 'kill', count: 3, every: 90 },
  { kind: 'refuse', count: 40, every: 5 },
  { kind: 'status', forMs: 3000, status: 503, reason: 'ServiceUnavailable' },
  { kind: 'goaway', count: 3, every: 80, code: 7 },
  { kind: 'freeze', count: 5, every: 50 },
  { kind: 'goaway', count: 5, every: 60 },
];

describe('a storm', () => {
  it('of 10 000 pushes loses none that was safe to send again and shows none twice', async () => {
    const t = await startTestPush();
    const drivers = Array.from({ length: DRIVERS }, (_, i) => `d${i}`);
    const customers = Array.from({ length: CUSTOMERS }, (_, i) => `c${i}`);
    await addPhones(t, 'driver', drivers);
    await addPhones(t, 'customer', customers);
    const jobId = await postTo(t, drivers);
    const notifications = await addNotifications(t, customers);
    for (const fault of STORM) t.simulator.faults.add(fault);
    await t.startWorker();
    const maintenance = startMaintenance(t);
    await t.queues.byLane.nearby.resume();
    await t.queues.tasks.enqueueWave(jobId, 1);
    await t.queues.tasks.enqueueNotifications(notifications.map((id) => ({ id })));
    await until(
      async () => {
        const [wave] = await t.ctx.db.execute<{ done: boolean }>(sql`
          select pushed_at is not null as done from job_waves where job_id = ${jobId}`);
        return wave?.done && (await countUndone(t.ctx.db, 0)) === 0;
      },
      { timeoutMs: PATIENCE_MS, what: 'every wave and notification done' },
    );
    await maintenance.close();

    const records = t.simulator.phones.records();
    const ofDrivers = tally(
      records.filter((one) => one.topic.endsWith('driver')),
      drivers,
    );
    expect(ofDrivers.twice).toEqual([]);
    // Who got nothing may only be one of whom nobody knows.
    const lastOnes = sql`
      select distinct on (user_id) user_id, outcome, reason from pushes
      where job_id = ${jobId} order by user_id, number desc`;
    const unknown = await t.ctx.db.execute<{ id: string }>(sql`
      select user_id as id from (${lastOnes}) last where outcome = 'unknown'`);
    const inDoubt = new Set(unknown.map((row) => row.id));
    expect(ofDrivers.never.filter((id) => !inDoubt.has(id))).toEqual([]);
    const lost = await t.ctx.db.execute<{ outcome: string }>(sql`
      select outcome, reason from (${lastOnes}) last where outcome not in ('sent', 'unknown')`);
    expect(lost).toEqual([]);

    const ofCustomers = records.filter((one) => one.topic.endsWith('customer'));
    // Who was not told may only be one of whom nobody knows, twice.
    const twiceUnknown = await t.ctx.db.execute<{ id: string }>(sql`
      select n.user_id as id from notifications n join pushes p on p.notification_id = n.id
      where p.outcome = 'unknown' group by n.user_id having count(*) = 2`);
    const lostTwice = new Set(twiceUnknown.map((row) => row.id));
    const { never } = tally(ofCustomers, customers);
    expect(never.filter((id) => !lostTwice.has(id))).toEqual([]);
    for (const customer of customers) {
      const shown = never.includes(customer) ? 0 : 1;
      expect(t.simulator.phones.shown(tokenOf(customer))).toHaveLength(shown);
    }
    const repeats = tally(ofCustomers, customers).twice.length;
    process.stdout.write(
      `storm: ${records.length} arrivals, ${t.simulator.connections()} connections, ` +
        `${inDoubt.size} drivers in doubt, ${repeats} customers told twice under one id\n`,
    );
  }, 240_000);
});
