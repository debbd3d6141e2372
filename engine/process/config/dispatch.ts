/** The settings of dispatch. Used by `config.ts` alone. */
import { parseWavePlan, type WaveStep } from '../../domain/waves.ts';
import { ConfigError, type Env, readNumber } from './env.ts';

export interface DispatchConfig {
  waves: readonly WaveStep[];
  radiusKm: number;
  pushMaxCandidates: number;
  driverStaleMs: number;
  /** Jobs that one driver may hold at once; 0: any number. */
  driverMaxActiveJobs: number;
  /** After this a job that nobody took expires; 0: never. */
  jobDefaultTtlS: number;
  claimLeaseMs: number;
  /** Claimable jobs that one customer may have posted with a token of his own; 0: any number. */
  customerMaxOpenJobs: number;
  /** How long jobs that are over are kept. */
  retentionDays: number;
  /** How often a moving, available driver's position is kept; 0: never. */
  positionHistoryS: number;
}

/** Contract section 2: `gridDisk` 1 covers a circle of at most this radius. */
export const RADIUS_KM_MAX = 50;
const COUNT = { min: 0, integer: true };
/** A century: more than anybody keeps, and still a date that Postgres can subtract. */
const RETENTION_DAYS = { min: 1, max: 36_500, integer: true };
const LEASE_MS = { min: 100, max: 60_000, integer: true };

/** Throws `ConfigError`. */
export function readDispatch(env: Env): DispatchConfig {
  const radiusKm = readNumber(env, 'DISPATCH_RADIUS_KM', 30, { min: 0.1, max: RADIUS_KM_MAX });
  return {
    radiusKm,
    waves: readWaves(env, radiusKm),
    pushMaxCandidates: readNumber(env, 'PUSH_MAX_CANDIDATES', 500, { ...COUNT, max: 10_000 }),
    driverStaleMs: 1000 * readNumber(env, 'DRIVER_STALE_S', 120, { min: 1, max: 86_400 }),
    driverMaxActiveJobs: readNumber(env, 'DRIVER_MAX_ACTIVE_JOBS', 0, { ...COUNT, max: 1000 }),
    jobDefaultTtlS: readNumber(env, 'JOB_DEFAULT_TTL_S', 0, { min: 0, max: 30 * 86_400 }),
    claimLeaseMs: readNumber(env, 'CLAIM_LEASE_MS', 5000, LEASE_MS),
    customerMaxOpenJobs: readNumber(env, 'CUSTOMER_MAX_OPEN_JOBS', 100, { ...COUNT, max: 100_000 }),
    retentionDays: readNumber(env, 'RETENTION_DAYS', 90, RETENTION_DAYS),
    positionHistoryS: readNumber(env, 'POSITION_HISTORY_S', 60, { ...COUNT, max: 86_400 }),
  };
}

function readWaves(env: Env, radiusKm: number): readonly WaveStep[] {
  try {
    return parseWavePlan(env.DISPATCH_WAVES || undefined, radiusKm, RADIUS_KM_MAX);
  } catch (error) {
    throw new ConfigError(
      `DISPATCH_WAVES ${(error as Error).message}, e.g. DISPATCH_WAVES=5:20,15:20,30`,
    );
  }
}
