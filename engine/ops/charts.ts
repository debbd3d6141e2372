/** The charts of the console's health page: how the deployment did in the last quarter of an hour. */
import { gaugeOf, type Measured, quantileOf, rateOf } from './measured.ts';

/** What one line shows is measured by the processes, or counted in Postgres. */
type Source = Measured | { counted: Counted };
/** What the one who notes it counts. */
export type Counted = 'openJobs' | 'driversHeard' | 'driversSilent';

export interface Line {
  name: string;
  source: Source;
  /** Beyond it an alarm rings that goes by the same. */
  limit?: number;
}
export interface Chart {
  name: string;
  unit: string;
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

/** Names a line among all. */
export const keyOf = (chart: Chart, line: Line): string => `${chart.name}: ${line.name}`;

/** The lines that processes measure. */
export const MEASURED_LINES: readonly (Measured & { name: string })[] = CHARTS.flatMap((chart) =>
  chart.lines.flatMap((line) =>
    'counted' in line.source ? [] : [{ ...line.source, name: keyOf(chart, line) }],
  ),
);
