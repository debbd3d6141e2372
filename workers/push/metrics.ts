/** What the push lanes measure (contract section 7). */
import type { Queue } from 'bullmq';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { PushOutcome } from '../../engine/pg/notifications.ts';
import { LANES, type Lane } from '../queues.ts';

export interface PushMetrics {
  pushed(lane: Lane, outcome: PushOutcome, reason: string, seconds: number): void;
}

/** Registers the measures; the age of the oldest waiting task is read when somebody asks. */
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
  new Gauge({
    name: 'muster_push_oldest_waiting_seconds',
    help: 'Age of the oldest task that waits in a lane; 0 when none does.',
    labelNames: ['lane'],
    registers,
    async collect() {
      for (const lane of LANES) {
        // Redis may be away; an old figure is worse than none.
        const oldest = await queues[lane].getWaiting(0, 0).catch(() => null);
        if (!oldest) this.remove({ lane });
        else this.set({ lane }, oldest[0] ? (now() - oldest[0].timestamp) / 1000 : 0);
      }
    },
  });
  return {
    pushed(lane, outcome, reason, took) {
      total.inc({ lane, outcome, reason });
      seconds.observe({ lane }, took);
    },
  };
}
