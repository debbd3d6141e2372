/** The metrics of the push lanes (contract section 7). */
import type { Queue } from 'bullmq';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { LANES, type Lane, type PushOutcome } from '../../engine/domain/push.ts';
import { enqueuedAt } from '../queues.ts';
import type { Paused } from './apns/pauses.ts';

export interface PushMetrics {
  pushed(lane: Lane, outcome: PushOutcome, reason: string, seconds: number): void;
}

/** Registers the metrics; the queues are read when they are scraped. */
export function createPushMetrics(
  registry: Registry,
  queues: Record<Lane, Queue>,
  now: () => number,
): PushMetrics {
  const registers = [registry];
  const total = new Counter({
    name: 'muster_push_total',
    help: 'Pushes by lane, outcome and reason.',
    labelNames: ['lane', 'outcome', 'reason'],
    registers,
  });
  const seconds = new Histogram({
    name: 'muster_push_seconds',
    help: 'From handing a push to the APNs client to its outcome.',
    labelNames: ['lane'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  measureQueues(registers, queues, now);
  return {
    pushed(lane, outcome, reason, took) {
      total.inc({ lane, outcome, reason });
      seconds.observe({ lane }, took);
    },
  };
}

const STATES = ['wait', 'delayed', 'active', 'failed'] as const;
/** Delayed tasks whose age is checked; they come in the order in which they are due. */
const READ_MAX = 1000;

function measureQueues(
  registers: Registry[],
  queues: Record<Lane, Queue>,
  now: () => number,
): void {
  new Gauge({
    name: 'muster_push_oldest_waiting_seconds',
    help: 'Age of the oldest task of a lane that waits for its first try or its next; 0 when none does.',
    labelNames: ['lane'],
    aggregator: 'max',
    registers,
    async collect() {
      for (const lane of LANES) {
        // Redis may be away; an old value is worse than none.
        const oldest = await oldestOf(queues[lane], now()).catch(() => null);
        if (oldest === null) this.remove({ lane });
        else this.set({ lane }, (now() - oldest) / 1000);
      }
    },
  });
  new Gauge({
    name: 'muster_push_tasks',
    help: 'Tasks of a lane by state: wait, delayed (tried again later), active, failed (for good).',
    labelNames: ['lane', 'state'],
    aggregator: 'max',
    registers,
    async collect() {
      for (const lane of LANES) {
        const counts = await queues[lane].getJobCounts(...STATES).catch(() => null);
        for (const state of STATES) {
          if (counts) this.set({ lane, state }, counts[state] ?? 0);
          else this.remove({ lane, state });
        }
      }
    },
  });
}

/** When the oldest was enqueued; `none` when nothing waits. Ids tell, so no task is read. */
async function oldestOf(queue: Queue, none: number): Promise<number> {
  const [first, again] = await Promise.all([
    queue.getRanges(['wait'], 0, 0, true),
    queue.getRanges(['delayed'], 0, READ_MAX - 1, true),
  ]);
  return Math.min(none, ...[...first, ...again].map((id) => enqueuedAt(id) ?? none));
}

/** The dashboard lets an operator pause a queue, and nothing resumes it. None where Redis is away. */
async function pausedByHand(queues: readonly Queue[]): Promise<Paused[]> {
  const found = await Promise.all(queues.map((queue) => queue.isPaused().catch(() => false)));
  return queues.flatMap(({ name }, i) => (found[i] ? [{ scope: name, reason: 'by hand' }] : []));
}

/** The metrics of pauses, by APNs or by hand, and of notifications whose push is not done. */
export function measureTrouble(
  registry: Registry,
  queues: Record<Lane, Queue>,
  paused: () => readonly Paused[],
  undone: () => Promise<number>,
): void {
  const registers = [registry];
  new Gauge({
    name: 'muster_push_paused',
    help: '1 for what is held back, and why: service, key or a topic until a push succeeds, a queue by hand.',
    labelNames: ['scope', 'reason'],
    aggregator: 'max',
    registers,
    async collect() {
      const byHand = await pausedByHand(Object.values(queues));
      this.reset();
      for (const { scope, reason } of [...paused(), ...byHand]) this.set({ scope, reason }, 1);
    },
  });
  new Gauge({
    name: 'muster_push_undone_notifications',
    help: 'Notifications older than a minute whose push has no outcome yet.',
    aggregator: 'max',
    registers,
    async collect() {
      // Postgres may be away; an old value is worse than none.
      const count = await undone().catch(() => null);
      if (count === null) this.remove();
      else this.set(count);
    },
  });
}
