/** What the feed measures (contract section 7). */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { LATENCY_BUCKETS } from '../../engine/process/metrics.ts';

export interface FeedMetrics {
  opened(role: string): void;
  closed(role: string): void;
  frame(event: string): void;
  /** From the moment an entry was logged (Redis's clock) to its application here. */
  lag(seconds: number): void;
  resync(reason: string): void;
}

export function createFeedMetrics(registry: Registry): FeedMetrics {
  const registers = [registry];
  const sessions = new Gauge({
    name: 'muster_feed_sessions',
    help: 'Open WebSocket sessions.',
    labelNames: ['role'],
    registers,
  });
  // Counted for every frame of every socket, so the registry is updated only when it is read.
  const counted = new Map<string, number>();
  new Counter({
    name: 'muster_feed_frames_total',
    help: 'Frames handed to sockets.',
    labelNames: ['event'],
    registers,
    collect() {
      for (const [event, count] of counted) this.inc({ event }, count);
      counted.clear();
    },
  });
  const lag = new Histogram({
    name: 'muster_feed_lag_seconds',
    help: 'From the log entry to its application in this gateway.',
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const resyncs = new Counter({
    name: 'muster_feed_resyncs_total',
    help: 'Snapshots sent because events may have been missed.',
    labelNames: ['reason'],
    registers,
  });
  return {
    opened: (role) => sessions.inc({ role }),
    closed: (role) => sessions.dec({ role }),
    frame: (event) => void counted.set(event, (counted.get(event) ?? 0) + 1),
    lag: (seconds) => lag.observe(Math.max(0, seconds)),
    resync: (reason) => resyncs.inc({ reason }),
  };
}
