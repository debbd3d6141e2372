/** The charts of the console's health page: the last quarter of an hour of the deployment. */
import { gaugeOf, type Measured, quantileOf, rateOf } from './measured.ts';

/** A line is measured by the processes, or counted in Postgres. */
type Source = Measured | { counted: Counted };
/** What the leader counts when it notes a point. */
export type Counted = 'openJobs' | 'driversHeard' | 'driversSilent';

export interface Line {
  name: string;
  source: Source;
  /** The limit of the alarm that watches the same value. */
  limit?: number;
}
export interface Chart {
  name: string;
  unit: string;
  lines: readonly Line[];
}

/** How often a point is noted; rates are over this time. */
export const STEP_S = 15;
/** Events are so rare that a quantile over fewer seconds would be of nothing. */
const QUANTILE_S = 60;

const pushWait = (lane: string) =>
  gaugeOf('muster_push_oldest_waiting_seconds', (labels) => labels.lane === lane);
const claims = (of: (outcome: string | undefined) => boolean) =>
  rateOf('muster_claims_total', STEP_S, ({ outcome }) => of(outcome));

export const CHARTS: readonly Chart[] = [
  {
    name: 'open jobs',
    unit: 'jobs',
    lines: [{ name: 'open', source: { counted: 'openJobs' } }],
  },
  {
    name: 'claims',
    unit: 'a second',
    lines: [
      { name: 'won', source: claims((outcome) => outcome === 'won') },
      { name: 'try again', source: claims((outcome) => outcome === 'try_again'), limit: 1 },
    ],
  },
  {
    name: 'candidates found, p99',
    unit: 's',
    lines: [{ name: 'at most', source: quantileOf(0.99, 'muster_dispatch_seconds', QUANTILE_S) }],
  },
  {
    name: 'oldest push waiting',
    unit: 's',
    lines: [
      { name: 'critical', source: pushWait('critical'), limit: 60 },
      { name: 'nearby', source: pushWait('nearby') },
    ],
  },
  {
    name: 'drivers online',
    unit: 'drivers',
    lines: [
      { name: 'heard of', source: { counted: 'driversHeard' } },
      { name: 'silent', source: { counted: 'driversSilent' } },
    ],
  },
  {
    name: 'feed lag, p99',
    unit: 's',
    lines: [
      {
        name: 'at most',
        source: quantileOf(0.99, 'muster_feed_lag_seconds', QUANTILE_S),
        limit: 1,
      },
    ],
  },
];

/** The name of a line among all lines. */
export const keyOf = (chart: Chart, line: Line): string => `${chart.name}: ${line.name}`;

/** The lines that processes measure. */
export const MEASURED_LINES: readonly (Measured & { name: string })[] = CHARTS.flatMap((chart) =>
  chart.lines.flatMap((line) =>
    'counted' in line.source ? [] : [{ ...line.source, name: keyOf(chart, line) }],
  ),
);
