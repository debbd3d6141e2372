/** Starts the lanes of a worker process: which tasks go where, and how many run at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job as Task, UnrecoverableError, Worker } from 'bullmq';
import type { Static, TSchema } from 'typebox';
import { Check } from 'typebox/value';
import type { Lane } from '../../engine/domain/push.ts';
import {
  connectConsumer,
  type Engine,
  onceEachOutage,
  type RedisTarget,
} from '../../engine/engine.ts';
import { backoffMs, NotificationTask, queueName, queuePrefix, WaveTask } from '../queues.ts';
import { createCriticalLane } from './critical.ts';
import { createNearbyLane } from './nearby.ts';
import type { Sender } from './sender.ts';

/**
 * Tasks at once; pushes have a limit of their own, so this is for jobs with few drivers each. With eight the
 * stores are so busy that a notification beside a large wave takes longer (measured: 335 ms instead of 133).
 */
export const NEARBY_CONCURRENCY = 4;
/** Most of a task's time is spent waiting for Apple. */
const CRITICAL_CONCURRENCY = 50;
/** When tasks of a dead worker are handed on, and how often they are searched for. */
const LOCK_MS = 15_000;
const STALLED_CHECK_MS = 5000;
/** The pause after an error; a failover is over within seconds, so this is short. */
const RETRY_MS = 1000;
/** A task that runs again pushes nobody twice, so it survives a few dead workers in a row. */
const STALLED_MAX = 10;
/** How long a stop waits for Redis to hear of the last tasks; otherwise they are handed on. */
const REPORT_MS = 2000;

export interface PushWorkers {
  ready(): Promise<void>;
  /** Finishes the windows under way; the rest stays for other workers. */
  close(): Promise<void>;
}

export function startPushWorkers(parts: {
  engine: Engine;
  redisUrl: RedisTarget;
  sender: Sender;
}): PushWorkers {
  const { engine, redisUrl, sender } = parts;
  const stopping = new AbortController();
  const critical = createCriticalLane(engine, sender);
  const nearby = createNearbyLane(engine, sender);
  const underWay = new Set<Promise<unknown>>();
  const workers = [
    start('critical', CRITICAL_CONCURRENCY, async ({ data }) =>
      critical.notify(checked(NotificationTask, data)),
    ),
    start('nearby', NEARBY_CONCURRENCY, async ({ data }) =>
      nearby.push(checked(WaveTask, data), stopping.signal),
    ),
  ];

  function start(lane: Lane, concurrency: number, work: (task: Task<unknown>) => Promise<string>) {
    const quiet = onceEachOutage(engine.log);
    const connection = connectConsumer(redisUrl, quiet);
    const worker = new Worker<unknown, string>(queueName(lane), (task) => track(work(task)), {
      connection,
      prefix: queuePrefix(lane),
      concurrency,
      skipVersionCheck: true,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      maxStalledCount: STALLED_MAX,
      runRetryDelay: RETRY_MS,
      settings: { backoffStrategy: backoffMs },
    });
    worker.on('error', quiet);
    worker.on('closed', () => connection.disconnect());
    return worker;
  }

  function track(work: Promise<string>): Promise<string> {
    const tracked = work
      .catch((error: unknown) => Promise.reject(why(error)))
      .finally(() => underWay.delete(tracked));
    underWay.add(tracked);
    return tracked;
  }

  /** Resolves a little after the last task has ended. */
  async function reported(): Promise<void> {
    while (underWay.size > 0) await Promise.allSettled(underWay);
    await sleep(REPORT_MS, undefined, { ref: false });
  }

  return {
    async ready() {
      await Promise.all(workers.map((worker) => worker.waitUntilReady()));
    },
    async close() {
      stopping.abort(new Error('the worker is stopping'));
      // BullMQ would wait for an absent Redis without end.
      await Promise.race([Promise.all(workers.map((worker) => worker.close())), reported()]);
    },
  };
}

/** The dashboard lets an operator edit tasks: an invalid one fails for good, and says so. */
function checked<T extends TSchema>(schema: T, data: unknown): Static<T> {
  if (!Check(schema, data)) throw new UnrecoverableError('this is not a task of this queue');
  return data as Static<T>;
}

/** The message of a failed statement repeats it with its parameters; its cause says why it failed. */
function why(error: unknown): unknown {
  const failedStatement = error instanceof Error && 'query' in error && 'params' in error;
  return failedStatement && error.cause instanceof Error ? error.cause : error;
}
