/** The charts of the console's health page: how the deployment did in the last quarter of an hour. */
import { gaugeOf, type Measured, quantileOf, rateOf } from './measured.ts';

/** What one line shows is measured by the processes, or counted in Postgres. */
type Source = Measured | { counted: Counted };
/** What the one who notes it counts. */
export type Counted = 'openJobs' | 'driversHeard' | 'driversSilent';

export interface Line {
  name: string;
  source: Source;
}
export interface Chart {
  name: string;
  unit: string;
  /** Where an alarm rings, as far as one goes by the same measure. */
  limit: number | null;
  lines: readonly Line[];
}

/** A point is noted so often; rates are of this time. */
export const STEP_S = 15;
/** Seldom enough that a quantile of fewer seconds would be of nothing. */
const QUANTILE_S = 60;

const pushWait = (lane: string) =>
  gaugeOf('muster_push_oldest_waiting_seconds', (labels) => labels.lane === lane);
const claims = (of: (outcome: string | undefined) => boolean) =>
  rateOf('muster_claims_total', STEP_S, ({ outcome }) => of(outcome));

export const CHARTS: readonly Chart[] = [
  {
    ...{ name: 'open jobs', unit: 'jobs', limit: null },
    lines: [{ name: 'open', source: { counted: 'openJobs' } }],
  },
  {
    ...{ name: 'claims', unit: 'a second', limit: 1 },
    lines: [
      { name: 'won', source: claims((outcome) => outcome === 'won') },
      { name: 'try again', source: claims((outcome) => outcome === 'try_again') },
    ],
  },
  {
    ...{ name: 'candidates found, p99', unit: 's', limit: null },
    lines: [{ name: 'at most', source: quantileOf(0.99, 'muster_dispatch_seconds', QUANTILE_S) }],
  },
  {
    ...{ name: 'oldest push waiting', unit: 's', limit: 60 },
    lines: [
      { name: 'critical', source: pushWait('critical') },
      { name: 'nearby', source: pushWait('nearby') },
    ],
  },
  {
    ...{ name: 'drivers online', unit: 'drivers', limit: null },
    lines: [
      { name: 'heard of', source: { counted: 'driversHeard' } },
      { name: 'silent', source: { counted: 'driversSilent' } },
    ],
  },
  {
    ...{ name: 'feed lag, p99', unit: 's', limit: 1 },
    lines: [{ name: 'at most', source: quantileOf(0.99, 'muster_feed_lag_seconds', QUANTILE_S) }],
  },
];

/** Names a line among all. */
export const keyOf = (chart: Chart, line: Line): string => `${chart.name}: ${line.name}`;

/** The lines that processes measure. */
export const MEASURED_LINES: readonly (Measured & { name: string })[] = CHARTS.flatMap((chart) =>
  chart.lines.flatMap((line) =>
    'counted' in line.source ? [] : [{ ...line.source, name: keyOf(chart, line) }],
  ),
);
