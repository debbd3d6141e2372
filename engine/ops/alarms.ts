/**
 * The alarms, defined once: for `GET /api/ops/health`, and under the same names for Prometheus in the table
 * of `docs/operations.md`. Each process measures its part; `combine` makes one value of all parts.
 */
import {
  gaugeOf,
  highest,
  type Measured,
  quantileOf,
  type Reading,
  rateOf,
  reading,
  total,
} from './measured.ts';

export interface Alarm extends Measured {
  name: string;
  /** The same for Prometheus, as spelled in the table. */
  expression: string;
  whatToDo: string;
  /** A value above it is an alarm. */
  limit: number;
}

/** The share of a lane's pushes that may fail before somebody should look. */
const FAILING_MAX = 0.1;
const LANES = ['critical', 'nearby'] as const;
const REPAIRS = /^(lease_ended|job_settled|driver_synced|driver_indexed)$/;

export const ALARMS: readonly Alarm[] = [
  {
    name: 'claims fail',
    expression: '`rate(muster_claims_total{outcome="try_again"}[1m]) > 1`',
    whatToDo:
      'see Postgres first: `/readyz`, locks, disk; drivers are told to try again and nothing is lost',
    limit: 1,
    ...rateOf('muster_claims_total', 60, ({ outcome }) => outcome === 'try_again'),
  },
  {
    name: 'feed behind',
    expression: '`histogram_quantile(0.99, rate(muster_feed_lag_seconds_bucket[1m])) > 1`',
    whatToDo: 'see Redis latency, then the CPU of the api processes',
    limit: 1,
    ...quantileOf(0.99, 'muster_feed_lag_seconds', 60),
  },
  {
    name: 'feeds start over',
    expression: '`rate(muster_feed_resyncs_total[5m]) > 1`',
    whatToDo: 'Redis loses connections or memory; see its log',
    limit: 1,
    ...rateOf('muster_feed_resyncs_total', 300),
  },
  {
    name: 'pushes wait',
    expression: '`muster_push_oldest_waiting_seconds{lane="critical"} > 60`',
    whatToDo:
      'are workers running? does Apple answer? `/ops/queues` shows the tasks and why they failed',
    limit: 60,
    ...gaugeOf('muster_push_oldest_waiting_seconds', ({ lane }) => lane === 'critical'),
  },
  {
    name: 'pushes fail',
    expression:
      '`sum by (lane) (rate(muster_push_total{outcome!="sent"}[5m])) > 0.1 * sum by (lane) (rate(muster_push_total[5m]))`',
    whatToDo:
      'by `reason` in `/metrics`: docs/operations.md, "When pushes fail", says what to do about each',
    limit: FAILING_MAX,
    metric: 'muster_push_total',
    measure(window) {
      const count = (lane: string, failed: boolean) =>
        window.increase(
          'muster_push_total',
          300,
          (labels) => labels.lane === lane && !(failed && labels.outcome === 'sent'),
        );
      const parts = LANES.flatMap((lane) => [
        [`${lane} all`, count(lane, false)] as const,
        [`${lane} failed`, count(lane, true)] as const,
      ]);
      return Object.fromEntries(parts.filter(([, value]) => value !== null)) as Reading;
    },
    combine(readings) {
      const sum = (key: string) => readings.reduce((all, reading) => all + (reading[key] ?? 0), 0);
      const shares = LANES.flatMap((lane) => {
        const all = sum(`${lane} all`);
        return all === 0 ? [] : [sum(`${lane} failed`) / all];
      });
      return shares.length === 0 ? null : Math.max(...shares);
    },
  },
  {
    name: 'pushes held back',
    expression: '`max by (scope, reason) (muster_push_paused) > 0`',
    whatToDo:
      '`service`: Apple is out of service; `key` or a topic: Apple refuses a setting, see the reason in `/metrics` and docs/operations.md, "When pushes fail"; a queue: somebody paused it on `/ops/queues`, resume it there',
    limit: 0,
    metric: 'muster_push_paused',
    measure: (window) => reading(window.lowest('muster_push_paused', 60)),
    combine: highest,
  },
  {
    name: 'notifications not done',
    expression: '`max(muster_push_undone_notifications) > 10`',
    whatToDo: 'customers wait: the alarms above say why',
    limit: 10,
    ...gaugeOf('muster_push_undone_notifications'),
  },
  {
    name: 'tasks failed for good',
    expression: '`max by (lane) (delta(muster_push_tasks{state="failed"}[15m])) > 0`',
    whatToDo: '`/ops/queues` shows which and why; "retry" there pushes no driver twice',
    limit: 0,
    metric: 'muster_push_tasks',
    // Every worker sees all of them.
    measure: (window) =>
      reading(window.increase('muster_push_tasks', 900, ({ state }) => state === 'failed')),
    combine: highest,
  },
  {
    name: 'token changed too soon',
    expression:
      '`increase(muster_push_total{reason="TooManyProviderTokenUpdates"}[1h]) > 0 or (muster_push_total{reason="TooManyProviderTokenUpdates"} > 0 unless muster_push_total{reason="TooManyProviderTokenUpdates"} offset 1h)`',
    whatToDo:
      'more than one program uses the connection of a worker (a proxy?), or its clock jumps: see NTP',
    limit: 0,
    metric: 'muster_push_total',
    measure: (window) =>
      reading(
        window.increase(
          'muster_push_total',
          3600,
          (labels) => labels.reason === 'TooManyProviderTokenUpdates',
        ),
      ),
    combine: total,
  },
  {
    name: 'repairs',
    expression:
      '`sum by (kind) (rate(muster_reconciled_total{kind=~"lease_ended\\|job_settled\\|driver_synced\\|driver_indexed"}[5m])) > 0.1`',
    whatToDo:
      'processes die or Redis is unreachable: the repairs work, find out why they are needed',
    limit: 0.1,
    ...rateOf('muster_reconciled_total', 300, ({ kind }) => REPAIRS.test(kind ?? '')),
  },
];

/** Measured by no process: there would be none to measure it. */
export const NO_WORKER_REPORTS = {
  name: 'no worker reports',
  expression: '`absent(muster_push_undone_notifications)`',
  whatToDo: 'no worker runs, none reaches Postgres, or Prometheus reaches none',
  /** Seconds since the last lease ran out. */
  limit: 10,
};
