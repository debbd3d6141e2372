/** The state of the deployment that operators are sent every two seconds. */
import { DRIVER_STATES, type DriverWord } from '../../../engine/domain/fleet.ts';
import {
  CLAIMABLE,
  HELD,
  isClaimable,
  type JobStatus,
  toTime,
} from '../../../engine/domain/job.ts';
import type { AlarmState, CheckState, Engine, HealthState } from '../../../engine/engine.ts';
import { withDeadline } from '../../../engine/process/deadline.ts';
import type { FleetBoard } from './fleet-board.ts';
import type { JobBoard } from './job-board.ts';

export interface OpsHealth {
  at: string;
  degraded_since: string | null;
  /** The checks of `/readyz` in the process that sends it. */
  checks: HealthState & { feed: CheckState };
  /** Jobs that are open or held, by status. */
  jobs: Partial<Record<JobStatus, number>>;
  /** When the job was posted that has waited longest for a driver. */
  oldest_open_at: string | null;
  drivers: Record<DriverWord, number>;
  /** Null while they cannot be read. */
  alarms: AlarmState[] | null;
}

/** What takes longer is left out this time. */
const ALARMS_MS = 1000;

export async function readHealth(
  engine: Pick<Engine, 'now' | 'ops' | 'health'>,
  board: { fleet: FleetBoard; jobs: JobBoard },
  degradedSince: number | null,
): Promise<OpsHealth> {
  const late = () => new Error('the alarms take too long');
  const alarms = await withDeadline(engine.ops.health.alarms(), ALARMS_MS, late).catch(() => null);
  const jobs = [...board.jobs.jobs()];
  const open = jobs.filter(({ status }) => isClaimable(status)).map((job) => job.created_at);
  return {
    at: toTime(engine.now()),
    degraded_since: degradedSince === null ? null : toTime(degradedSince),
    checks: { ...engine.health.state(), feed: degradedSince === null ? 'ok' : 'failed' },
    jobs: countsOf([...CLAIMABLE, ...HELD], jobs, ({ status }) => status),
    oldest_open_at: open.sort()[0] ?? null,
    drivers: countsOf(DRIVER_STATES, board.fleet.drivers(), ({ word }) => word),
    alarms,
  };
}

function countsOf<Name extends string, Thing>(
  names: readonly Name[],
  things: Iterable<Thing>,
  nameOf: (thing: Thing) => Name,
): Record<Name, number> {
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  for (const thing of things) counts[nameOf(thing)]++;
  return counts;
}
