/** Many drivers and customers with phones, written straight into Postgres; what they were shown. */
import { randomUUID } from 'node:crypto';
import { sql } from '../../engine/pg/drizzle.ts';
import type { TestPush } from './push.ts';

export const tokenOf = (user: string) => Buffer.from(user.padEnd(32, '.')).toString('hex');

/** Drivers with one phone each. They are candidates of a wave by its row, not by their position. */
export async function addPhones(
  t: TestPush,
  app: 'driver' | 'customer',
  users: readonly string[],
): Promise<void> {
  const rows = users.map((user) => ({ token: tokenOf(user), user }));
  await t.ctx.db.execute(sql`
    insert into device_tokens (token, user_id, app, environment)
    select token, "user", ${app}, 'sandbox'
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r(token text, "user" text)`);
}

/** An open job whose first wave has these candidates, and is not handed over yet. */
export async function postTo(t: TestPush, drivers: readonly string[]): Promise<string> {
  const { byLane } = t.queues;
  await byLane.nearby.pause();
  const job = await t.post();
  await t.ctx.db.execute(sql`
    update job_waves set chosen_at = now(), dispatched_at = now(), pushed_at = null,
      candidate_count = ${drivers.length}::int,
      candidate_ids = array(select jsonb_array_elements_text(
        ${JSON.stringify(drivers)}::text::jsonb)),
      candidate_km = array(select 0::float8 from generate_series(1, ${drivers.length}::int))
    where job_id = ${job.id} and wave = 1`);
  await byLane.nearby.obliterate({ force: true });
  return job.id;
}

/** Notifications to customers, not handed over yet; returns their ids. */
export async function addNotifications(
  t: TestPush,
  customers: readonly string[],
): Promise<string[]> {
  const batch = randomUUID();
  const rows = await t.ctx.db.execute<{ id: string }>(sql`
    insert into notifications (user_id, app, job_id, version, type, title, body, data)
    select u, 'customer', md5(${batch}::text || u), 2, 'driver_assigned', 'Driver Assigned',
      'A driver has accepted your job!',
      jsonb_build_object('job_id', md5(${batch}::text || u), 'type', 'job_update', 'version', 2)
    from jsonb_array_elements_text(${JSON.stringify(customers)}::text::jsonb) as u
    returning id`);
  return rows.map((row) => row.id);
}

export interface Tally {
  /** Phones that accepted more than one push of one collapse id. */
  twice: string[];
  /** Phones that accepted none. */
  never: string[];
}

/** By what the simulator took in, whatever was answered. */
export function tally(
  records: readonly { token: string; status: number; collapse_id: string }[],
  users: readonly string[],
): Tally {
  const times = new Map<string, number>();
  for (const { token, status, collapse_id } of records) {
    const key = `${token} ${collapse_id}`;
    if (status === 200) times.set(key, (times.get(key) ?? 0) + 1);
  }
  const got = new Set([...times.keys()].map((key) => key.split(' ')[0]));
  return {
    twice: [...times].filter(([, count]) => count > 1).map(([key]) => key),
    never: users.filter((user) => !got.has(tokenOf(user))),
  };
}
