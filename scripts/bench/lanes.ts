/**
 * `bench -- lanes`: how long a notification to a customer takes when nothing else is pushed, beside a wave
 * to a city's drivers, and where both wait in one lane.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { sql } from '../../engine/pg/drizzle.ts';
import { createCriticalLane } from '../../workers/push/critical.ts';
import { createNearbyLane } from '../../workers/push/nearby.ts';
import { NEARBY_CONCURRENCY } from '../../workers/push/start.ts';
import type { NotificationTask, WaveTask } from '../../workers/queues.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { type OwnSimulator, onOwnSimulator } from './own-simulator.ts';
import { type PushPath, startPushPath } from './push-path.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { onOwnStores, type Stores } from './stack.ts';

const DRIVERS = 5000;
/** Notifications of one measurement; the last of them is still beside the wave. */
const NOTIFICATIONS = 100;
const NOTIFICATION_EVERY_MS = 10;
/** How long APNs takes for each push. */
const APNS_MS = 40;
const POLL_MS = 20;

type Enqueue = (notification: string) => Promise<unknown>;

/** Starts its own simulator and stores; nothing else is needed. */
export function runLanes(): Promise<BenchLine[]> {
  return onOwnSimulator((simulator) => onOwnStores('lanes', (stores) => runAll(simulator, stores)));
}

async function runAll(simulator: OwnSimulator, stores: Stores): Promise<BenchLine[]> {
  const path = await startPushPath(stores, simulator, DRIVERS);
  await addCustomers(path);
  const slow = JSON.stringify({ kind: 'delay', ms: APNS_MS });
  await fetch(`${simulator.controlUrl}/faults`, { method: 'POST', body: slow });
  const oneLane = startOneLane(path, stores);
  const { tasks } = path.queues;
  const lanes: Enqueue = (id) => tasks.enqueueNotifications([{ id }]);
  const p99s = { idle: [] as number[], beside: [] as number[], shared: [] as number[] };
  let overtaken = 0;
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const idle = await tell(path, simulator, lanes);
    const beside = await duringWave(path, simulator, lanes, (id) => tasks.enqueueWave(id, 1));
    const shared = await duringWave(path, simulator, oneLane.notification, oneLane.wave);
    if (round < WARM_UP_ROUNDS) continue;
    p99s.idle.push(p99(idle));
    p99s.beside.push(p99(beside.times));
    p99s.shared.push(p99(shared.times));
    overtaken += beside.overtaken;
  }
  await oneLane.close();
  await path.close();
  return linesOf(p99s, overtaken);
}

function linesOf(p99s: Record<'idle' | 'beside' | 'shared', number[]>, overtaken: number) {
  const about = {
    unit: 'ms',
    bottleneck: 'worker process (one core), beside the simulator',
    notes: {
      drivers: DRIVERS,
      notifications: NOTIFICATIONS,
      apns_ms: APNS_MS,
      notifications_before_end_of_wave: Math.round(overtaken / ROUNDS),
    },
  };
  const { idle, beside, shared } = p99s;
  const what = `lanes: notification p99 beside ${DRIVERS} drivers`;
  return [
    compare(beside, idle, { ...about, bench: `${what}, alone` }),
    compare(beside, shared, { ...about, bench: `${what}, in one lane with them` }),
  ];
}

/** Notifications while a wave goes out, from its first push on. */
async function duringWave(
  path: PushPath,
  simulator: OwnSimulator,
  enqueue: Enqueue,
  handOver: (jobId: string) => Promise<unknown>,
): Promise<{ times: number[]; overtaken: number }> {
  const jobId = await path.post();
  await handOver(jobId);
  while ((await countOf(path, sql`pushes where job_id = ${jobId}`)) === 0) {
    await sleep(POLL_MS);
  }
  let endedAt = Number.POSITIVE_INFINITY;
  const pushed = path.pushed(jobId).then(() => {
    endedAt = performance.now();
  });
  const startedAt = performance.now();
  const times = await tell(path, simulator, enqueue);
  await pushed;
  const overtaken = times.filter(
    (time, i) => startedAt + i * NOTIFICATION_EVERY_MS + time < endedAt,
  ).length;
  return { times, overtaken };
}

/** One notification to each customer at an even pace; ms until Apple had accepted each. */
async function tell(path: PushPath, simulator: OwnSimulator, enqueue: Enqueue): Promise<number[]> {
  const batch = randomUUID();
  const rows = await path.ctx.db.execute<{ id: string; user: string }>(sql`
    insert into notifications (user_id, app, job_id, version, type, title, body, data)
    select 'c' || n, 'customer', ${batch}, 2, 'driver_assigned', 'Driver Assigned',
      'A driver has accepted your job!', jsonb_build_object('job_id', ${batch}::text)
    from generate_series(1, ${NOTIFICATIONS}::int) n
    returning id, user_id as user`);
  const startedAt = performance.now();
  const handedOver = new Map<string, number>();
  for (const [i, { id, user }] of rows.entries()) {
    await sleep(Math.max(0, startedAt + i * NOTIFICATION_EVERY_MS - performance.now()));
    handedOver.set(tokenOf(user), Date.now());
    await enqueue(id);
  }
  const undone = sql`notifications where job_id = ${batch} and done_at is null`;
  while ((await countOf(path, undone)) > 0) await sleep(POLL_MS);
  const response = await fetch(`${simulator.controlUrl}/pushes?job_id=${batch}`);
  const { pushes } = (await response.json()) as { pushes: { token: string; at: string }[] };
  if (pushes.length !== NOTIFICATIONS)
    throw new Error(`${pushes.length} pushes, not ${NOTIFICATIONS}`);
  const accepted = new Map(pushes.map(({ token, at }) => [token, Date.parse(at)]));
  return [...handedOver].map(([token, at]) => (accepted.get(token) ?? Number.NaN) - at);
}

/** What Muster is not: one queue for all pushes. */
function startOneLane({ engine, sender }: PushPath, { redisUrl }: Stores) {
  const critical = createCriticalLane(engine, sender);
  const nearby = createNearbyLane(engine, sender);
  const { signal } = new AbortController();
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('one-lane', { connection });
  const worker = new Worker<NotificationTask | WaveTask>(
    'one-lane',
    async ({ data }) => {
      if ('notification_id' in data) return critical.notify(data);
      return nearby.push(data, signal);
    },
    { connection, concurrency: NEARBY_CONCURRENCY },
  );
  return {
    async notification(id: string) {
      await queue.add('notification', { notification_id: id });
    },
    async wave(jobId: string) {
      await queue.add('wave', { job_id: jobId, wave: 1 });
    },
    async close() {
      await worker.close();
      await queue.close();
      connection.disconnect();
    },
  };
}

const tokenOf = (customer: string) => Buffer.from(customer.padEnd(32, '.')).toString('hex');

async function addCustomers({ ctx }: PushPath): Promise<void> {
  await ctx.db.execute(sql`
    insert into device_tokens (token, user_id, app, environment)
    select encode(rpad('c' || n, 32, '.')::bytea, 'hex'), 'c' || n, 'customer', 'sandbox'
    from generate_series(1, ${NOTIFICATIONS}::int) n`);
}

async function countOf({ ctx }: PushPath, what: ReturnType<typeof sql>): Promise<number> {
  const [row] = await ctx.db.execute<{ n: number }>(sql`select count(*)::int as n from ${what}`);
  return row?.n ?? 0;
}

function p99(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
}
