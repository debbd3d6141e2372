/**
 * The push queues: their names, what a task holds (ids, never device tokens), and how tasks are
 * enqueued. Lanes are separate queues, so that a city's worth of nearby pushes never delays the one to
 * the customer. A lost task is found again from Postgres; a task that runs twice pushes nobody twice.
 */
import { randomBytes } from 'node:crypto';
import { type JobsOptions, Queue } from 'bullmq';
import { type Static, Type } from 'typebox';
import { LANES, type Lane } from '../engine/domain/push.ts';
import {
  connectProducer,
  type Logger,
  onceEachOutage,
  type PushTasks,
  type RedisTarget,
  requirePermissions,
} from '../engine/engine.ts';
import { BULLMQ_COMMANDS } from './queue-commands.ts';

const strict = { additionalProperties: false };

export const NotificationTask = Type.Object({ notification_id: Type.String() }, strict);
export type NotificationTask = Static<typeof NotificationTask>;
/** `from` and `count`: only in tasks from the version before this, each for a part of the wave. */
export const WaveTask = Type.Object(
  {
    job_id: Type.String(),
    wave: Type.Integer({ minimum: 1 }),
    from: Type.Optional(Type.Integer({ minimum: 0 })),
    count: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  strict,
);
export type WaveTask = Static<typeof WaveTask>;

/** A failed task is tried again after 1, 2, 4, 8 s, then at this interval. */
const BACKOFF_FIRST_MS = 1000;
const BACKOFF_MAX_MS = 15_000;
const BACKOFF_SPREAD = 0.1;
/** The longest wait, whatever APNs asks for: a quarter of an hour after a 500; notifications live an hour. */
const WAIT_MAX_MS = 20 * 60_000;
/** More than fit into the hour for which a notification is useful: its own expiry ends it. */
const CRITICAL_ATTEMPTS = 300;
/** About a minute: by then the job is taken, or offered in the next wave. */
const NEARBY_ATTEMPTS = 8;
/** Failed tasks stay on the dashboard; the view `pushes` has all that succeeded. */
const FAILED_KEPT = 1000;
const COMPLETED_KEPT = 100;
/** Stack traces kept; BullMQ would keep one for each of the many attempts. */
const STACKS_KEPT = 3;

export const queueName = (lane: Lane) => `push-${lane}`;
/** One hash tag per queue: in Redis Cluster a queue lives on one shard. */
export const queuePrefix = (lane: Lane) => `{muster-push-${lane}}`;

export interface PushQueues {
  tasks: PushTasks;
  queues: Queue[];
  byLane: Record<Lane, Queue>;
  /** Throws one line that names what the user of Redis may not do with the queues. */
  check(): Promise<void>;
  /** Is there a connection on which tasks can be enqueued? */
  ready(): boolean;
  close(): Promise<void>;
}

/** What an error may say about the next try. */
interface Wait {
  atLeastMs?: number;
}

/**
 * How long a task waits after its n-th failure; the workers' side of `capped`. A little more or less at
 * random, so that tasks that failed together do not come back together.
 */
export function backoffMs(failures: number, _type?: string, error?: Error & Wait): number {
  const { atLeastMs = 0 } = error ?? {};
  const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1));
  const spread = wait * BACKOFF_SPREAD * (Math.random() * 2 - 1);
  return Math.max(wait + spread, Math.min(atLeastMs, WAIT_MAX_MS));
}

/** The queues as producers see them. Enqueueing rejects when Redis is away. */
export function createPushQueues(redis: RedisTarget, log: Logger): PushQueues {
  const connection = connectProducer(redis, onceEachOutage(log));
  const open = (lane: Lane) => {
    const queue = new Queue(queueName(lane), {
      connection,
      prefix: queuePrefix(lane),
      skipWaitingForReady: true,
      skipVersionCheck: true,
      defaultJobOptions: {
        removeOnComplete: COMPLETED_KEPT,
        removeOnFail: FAILED_KEPT,
        backoff: { type: 'capped' },
        stackTraceLimit: STACKS_KEPT,
      },
    });
    queue.on('error', onceEachOutage(log));
    return queue;
  };
  const byLane = { critical: open('critical'), nearby: open('nearby') };
  return {
    byLane,
    queues: LANES.map((lane) => byLane[lane]),
    tasks: {
      async enqueueWave(jobId, wave) {
        const data: WaveTask = { job_id: jobId, wave };
        const opts = { attempts: NEARBY_ATTEMPTS, ...onceAtATime(`${jobId}-${wave}`) };
        const name = `New Job Nearby, wave ${wave} → job ${jobId}`;
        const added = await byLane.nearby.add(name, data, opts);
        return added.id === opts.jobId;
      },
      async enqueueNotifications(notifications) {
        const tasks = notifications.map(({ id, about = 'notification, enqueued again' }) => {
          const data: NotificationTask = { notification_id: id };
          return { name: about, data, opts: { attempts: CRITICAL_ATTEMPTS, ...onceAtATime(id) } };
        });
        const added = await byLane.critical.addBulk(tasks);
        return added.filter((task, i) => task.id === tasks[i]?.opts.jobId).length;
      },
    },
    async check() {
      for (const lane of LANES) {
        await requirePermissions(connection, `${queuePrefix(lane)}:`, BULLMQ_COMMANDS);
      }
    },
    ready: () => connection.status === 'ready',
    async close() {
      await Promise.all(LANES.map((lane) => byLane[lane].close()));
      connection.disconnect();
    },
  };
}

const TASK_ID = /^(\d{13})-/;

/** An id that says when the task was enqueued: epoch ms, then something random. */
export const taskId = () => `${Date.now()}-${randomBytes(6).toString('hex')}`;

/** When a task was enqueued, by its id, epoch ms; null for one that somebody made by hand. */
export function enqueuedAt(id: string): number | null {
  const [, at] = TASK_ID.exec(id) ?? [];
  return at === undefined ? null : Number(at);
}

/**
 * While a task waits or runs, a second would find nothing to do; freed when it ends, however it ends.
 * The id shows whether the task was added: otherwise BullMQ answers with the id of the other.
 */
function onceAtATime(id: string): Required<Pick<JobsOptions, 'deduplication' | 'jobId'>> {
  return { deduplication: { id }, jobId: taskId() };
}
