/**
 * The alarms, once: what `GET /api/ops/health` says, and what the table in `docs/operations.md` says to
 * Prometheus under the same names. Each process measures its part; `combine` makes one value of them.
 */
import type { Window } from './window.ts';

/** What one process measured for one alarm. */
export type Reading = Readonly<Record<string, number>>;

export interface Alarm {
  name: string;
  /** The same for Prometheus, as the table spells it. */
  expression: string;
  whatToDo: string;
  /** A value beyond it is an alarm. */
  limit: number;
  /** What it is measured by. */
  metric: string;
  /** The part of this process; empty where it has nothing to do with it. */
  measure(window: Window): Reading;
  /** One value of what all processes measured; null where none did. */
  combine(readings: readonly Reading[]): number | null;
}

/** Per cent of the sends, or of the time, that a lane may fail before somebody looks. */
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
    metric: 'muster_feed_lag_seconds',
    measure: (window) => window.buckets('muster_feed_lag_seconds', 60),
    combine: (readings) => quantile(0.99, readings),
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
    whatToDo: 'by `reason`: see the table below',
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
      '`service`: Apple is out of service; `key` or a topic: Apple refuses a setting, see the reason below',
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

/** Not of any process: nobody would be there to measure it. */
export const NOBODY_RECONCILES = {
  name: 'nobody reconciles',
  expression: '`absent(muster_push_undone_notifications)`',
  whatToDo: 'no worker runs, none reaches Postgres, or Prometheus reaches none',
  /** Seconds since the last lease ran out. */
  limit: 10,
};

type Labels = Readonly<Record<string, string | undefined>>;
type Parts = Pick<Alarm, 'metric' | 'measure' | 'combine'>;

/** How often a second, of all processes together. */
function rateOf(metric: string, seconds: number, of?: (labels: Labels) => boolean): Parts {
  return {
    metric,
    measure(window) {
      const increase = window.increase(metric, seconds, of);
      return reading(increase === null ? null : increase / seconds);
    },
    combine: total,
  };
}

/** The highest that a process sees now. */
function gaugeOf(metric: string, of?: (labels: Labels) => boolean): Parts {
  return { metric, measure: (window) => reading(window.now(metric, of)), combine: highest };
}

function reading(value: number | null): Reading {
  return value === null ? {} : { value };
}

const valuesOf = (readings: readonly Reading[]) => readings.flatMap(({ value }) => value ?? []);

function total(readings: readonly Reading[]): number | null {
  const values = valuesOf(readings);
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
}

function highest(readings: readonly Reading[]): number | null {
  const values = valuesOf(readings);
  return values.length === 0 ? null : Math.max(...values);
}

/** The upper bound of the bucket in which the quantile lies; null when nothing was observed. */
function quantile(q: number, readings: readonly Reading[]): number | null {
  const counts = new Map<number, number>();
  for (const one of readings) {
    for (const [bound, count] of Object.entries(one)) {
      counts.set(Number(bound), (counts.get(Number(bound)) ?? 0) + count);
    }
  }
  const bounds = [...counts].sort(([a], [b]) => a - b);
  const all = bounds.at(-1)?.[1] ?? 0;
  if (all === 0) return null;
  // Beyond the last bound nothing more is known than that.
  const finite = bounds.filter(([bound]) => Number.isFinite(bound));
  return (finite.find(([, count]) => count >= q * all) ?? finite.at(-1))?.[0] ?? null;
}
