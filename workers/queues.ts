/**
 * The push queues: their names, what a task holds (ids, never device tokens), and how one is handed
 * over. Lanes are separate queues, so that a city's worth of nearby pushes never delays the one to
 * the customer. A lost task is found again in Postgres; a task that runs twice pushes nobody twice.
 */
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { Logger, PushTasks } from '../engine/context.ts';
import { onceEachOutage } from '../engine/engine.ts';

/** `critical`: one notification a task. `nearby`: a wave, then its chunks. */
export const LANES = ['critical', 'nearby'] as const;
export type Lane = (typeof LANES)[number];

export interface NotificationTask {
  notification_id: string;
}
export interface WaveTask {
  job_id: string;
  wave: number;
}
/** Candidates `from` … `from + count - 1` of the wave, nearest first. */
export interface ChunkTask extends WaveTask {
  from: number;
  count: number;
}

/** Short commands; a producer would rather fail (and be repeated) than wait for Redis. */
const COMMAND_TIMEOUT_MS = 900;
/** A push that could not be sent is tried again after 1, 2, 4 … s, two minutes in all. */
const CRITICAL_ATTEMPTS = 8;
const NEARBY_ATTEMPTS = 5;
const BACKOFF_MS = 1000;
/** What failed stays on the dashboard; what succeeded is in `push_attempts`. */
const FAILED_KEPT = 1000;
const COMPLETED_KEPT = 100;

export const queueName = (lane: Lane) => `push-${lane}`;
/** One hash tag per queue: in Redis Cluster a queue lives on one shard. */
export const queuePrefix = (lane: Lane) => `{muster-push-${lane}}`;

export interface PushQueues {
  tasks: PushTasks;
  queues: Queue[];
  byLane: Record<Lane, Queue>;
  close(): Promise<void>;
}

/** The queues as producers see them. Handing a task over rejects when Redis is away. */
export function createPushQueues(redisUrl: string, log: Logger): PushQueues {
  const connection = new Redis(redisUrl, {
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: null,
  });
  connection.on('error', onceEachOutage(log));
  const open = (lane: Lane) => {
    const queue = new Queue(queueName(lane), {
      connection,
      prefix: queuePrefix(lane),
      skipWaitingForReady: true,
      skipVersionCheck: true,
      defaultJobOptions: {
        removeOnComplete: COMPLETED_KEPT,
        removeOnFail: FAILED_KEPT,
        backoff: { type: 'exponential', delay: BACKOFF_MS },
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
        await byLane.nearby.add(`wave ${wave}`, data, { attempts: NEARBY_ATTEMPTS });
      },
      async enqueueNotification(id) {
        const data: NotificationTask = { notification_id: id };
        await byLane.critical.add('notification', data, {
          attempts: CRITICAL_ATTEMPTS,
          // While one waits or runs a second would find nothing to do; freed when it ends.
          deduplication: { id },
        });
      },
    },
    async close() {
      await Promise.all(LANES.map((lane) => byLane[lane].close()));
      connection.disconnect();
    },
  };
}

/** The chunks of a wave, as tasks of their own; safe to hand over twice. */
export async function enqueueChunks(queue: Queue, chunks: readonly ChunkTask[]): Promise<void> {
  await queue.addBulk(
    chunks.map((data) => ({
      name: `drivers ${data.from + 1} to ${data.from + data.count} of wave ${data.wave}`,
      data,
      opts: { attempts: NEARBY_ATTEMPTS },
    })),
  );
}
