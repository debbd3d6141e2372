/** A zone's log: its open jobs at some moment, then what happens to them. */
import type { EngineContext } from '../context.ts';
import type { Zone } from '../domain/zones.ts';
import { zoneLog } from '../redis/keys.ts';
import {
  type OfferedJob,
  parseZoneEvent,
  readOpenJobs,
  type ZoneEvent,
} from '../redis/open-jobs.ts';
import type { LogSource } from './log-follower.ts';

export interface ZoneFollower {
  zone: Zone;
  /** Events may have been missed; `jobs` is what is open now. */
  onLoad(jobs: readonly OfferedJob[]): void;
  /**
   * What happened, in order. Right after a load some of it may be older than the loaded jobs: versions
   * tell.
   */
  onEvent(event: ZoneEvent): void;
}

export function zoneSource(ctx: EngineContext, follower: ZoneFollower): LogSource {
  const { redis, projection } = ctx;
  const { zone } = follower;
  return {
    keys: zoneLog(zone),
    async load(suspect) {
      if (suspect) await projection.rebuild(zone);
      const { last, jobs } = await projection.inZone(zone, async () => {
        return (await readOpenJobs(redis, zone)) ?? 'not_ready';
      });
      follower.onLoad(jobs);
      return last;
    },
    async complete() {
      await projection.rebuild(zone);
    },
    apply(body) {
      const event = parseZoneEvent(body);
      if (!event || (event.kind === 'open' && event.more)) return false;
      follower.onEvent(event);
      return true;
    },
  };
}
