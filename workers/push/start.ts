/** Starts the lanes of a worker process: which task goes where, and how many run at once. */
import { type Job as Task, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { EngineContext } from '../../engine/context.ts';
import { onceEachOutage } from '../../engine/engine.ts';
import {
  type ChunkTask,
  enqueueChunks,
  type Lane,
  type NotificationTask,
  type PushQueues,
  queueName,
  queuePrefix,
  type WaveTask,
} from '../queues.ts';
import { createCriticalLane } from './critical.ts';
import { createNearbyLane } from './nearby.ts';
import type { Sender } from './sender.ts';

/** With windows of 50: at most 200 nearby pushes of a worker are in flight. */
const NEARBY_CONCURRENCY = 4;
/** Most of a task's time is spent waiting for Apple. */
const CRITICAL_CONCURRENCY = 50;

export interface PushWorkers {
  ready(): Promise<void>;
  /** Finishes the windows in flight; the rest stays for other workers. */
  close(): Promise<void>;
}

export function startPushWorkers(parts: {
  ctx: EngineContext;
  redisUrl: string;
  queues: PushQueues;
  sender: Sender;
}): PushWorkers {
  const { ctx, redisUrl, queues, sender } = parts;
  const stopping = new AbortController();
  const critical = createCriticalLane(ctx, sender);
  const nearby = createNearbyLane(ctx, sender);
  const workers = [
    start<NotificationTask>('critical', CRITICAL_CONCURRENCY, (task) => {
      const lastTry = task.attemptsMade + 1 >= (task.opts.attempts ?? 1);
      return critical.notify(task.data, lastTry);
    }),
    start<WaveTask | ChunkTask>('nearby', NEARBY_CONCURRENCY, async ({ data }) => {
      if ('from' in data) return nearby.chunk(data, stopping.signal);
      const chunks = await nearby.wave(data);
      await enqueueChunks(queues.byLane.nearby, chunks);
      return `${chunks.length} chunks`;
    }),
  ];

  function start<T>(lane: Lane, concurrency: number, work: (task: Task<T>) => Promise<string>) {
    // BullMQ waits for Redis on this connection for as long as it takes.
    const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
    const quiet = onceEachOutage(ctx.log);
    connection.on('error', quiet);
    const worker = new Worker<T, string>(queueName(lane), work, {
      connection,
      prefix: queuePrefix(lane),
      concurrency,
      skipVersionCheck: true,
    });
    worker.on('error', quiet);
    worker.on('closed', () => connection.disconnect());
    return worker;
  }

  return {
    async ready() {
      await Promise.all(workers.map((worker) => worker.waitUntilReady()));
    },
    async close() {
      stopping.abort(new Error('the worker is stopping'));
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}
