/** Reads what Redis holds of jobs, to compare it with their rows; and removes a job whose row is gone. */
import type { Zone } from '../domain/zones.ts';
import { channelOn, type RedisClient } from './client.ts';
import { TOMBSTONE_S, ZONE_TTL_S } from './job-scripts.ts';
import { keys, zoneLog } from './keys.ts';
import { LOG_LENGTH } from './log-scripts.ts';
import { pipelined } from './pipelines.ts';
import { scanKeys } from './scan.ts';
import { runScript } from './script-loader.ts';
import { SCRIPTS } from './scripts.ts';

/** Where a job is kept. */
export interface JobPlace {
  id: string;
  zone: Zone;
}

export interface HeldJob {
  version: number;
  /** `gone`: its row was found to be gone. */
  state: 'open' | 'claiming' | 'closed' | 'gone';
  status: string;
  driverId: string | null;
  /** When its version was written, epoch ms by Postgres; null where an older Muster put it. */
  updatedAt: number | null;
  /** For an open job: drivers who must not see it. */
  refused: readonly string[];
}

const FIELDS = ['version', 'state', 'status', 'driver', 'at'] as const;

/** What Redis holds of each of these jobs, in their order; null where it holds nothing. */
export async function readHeldJobs(
  redis: RedisClient,
  jobs: readonly JobPlace[],
): Promise<(HeldJob | null)[]> {
  const keyOf = ({ zone, id }: JobPlace) => keys.job(zone, id);
  const found = (await pipelined(redis, jobs, keyOf, (pipeline, job) =>
    pipeline.hmget(keyOf(job), ...FIELDS),
  )) as (string | null)[][];
  const isOpen = (i: number) => ['open', 'claiming'].includes(found[i]?.[1] ?? '');
  const open = jobs.filter((_, i) => isOpen(i));
  const refused = await pipelined(redis, open, keyOf, (pipeline, { zone, id }) =>
    pipeline.hgetall(keys.declined(zone, id)),
  );
  const refusedBy = new Map(open.map(({ id }, i) => [id, Object.keys(refused[i] as object)]));
  return jobs.map(({ id }, i) => {
    const [version, state, status, driver, at] = found[i] ?? [];
    if (!version || !state) return null;
    return {
      version: Number(version),
      state: state as HeldJob['state'],
      status: status ?? '',
      driverId: driver || null,
      updatedAt: at ? Number(at) : null,
      refused: refusedBy.get(id) ?? [],
    };
  });
}

/** Every job that Redis holds, open or not, page by page. */
export async function* scanHeldJobs(redis: RedisClient): AsyncGenerator<JobPlace[]> {
  const prefix = keys.job('*', '');
  for await (const page of scanKeys(redis, `${prefix}*`)) {
    yield page.flatMap((key) => {
      const [, zone, id] = /^muster:\{([^}]+)\}:job:(.+)$/.exec(key) ?? [];
      return zone && id ? [{ zone, id }] : [];
    });
  }
}

/**
 * Its row is gone: people to whom it was shown are told that it is over, and its version is kept as long as that
 * of a closed job. `version`: what Redis held before the row was searched, 0 for nothing. False when there was
 * nothing to forget.
 */
export async function forgetJob(
  redis: RedisClient,
  { id, zone, version }: JobPlace & { version: number },
): Promise<boolean> {
  const { meta, log, live } = zoneLog(zone);
  const code = await runScript(
    redis,
    SCRIPTS.forgetJob,
    [
      meta,
      log,
      keys.openJobs(zone),
      keys.job(zone, id),
      keys.declined(zone, id),
      keys.claims(zone),
    ],
    [channelOn(redis, live), LOG_LENGTH, id, version, TOMBSTONE_S, ZONE_TTL_S],
  );
  return code === 1;
}
