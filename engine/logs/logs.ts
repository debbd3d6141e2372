/**
 * What happens, for those who show it to people: the logs of zones, of drivers and of events for single
 * users, followed without a gap. Hides how they are kept: listeners see jobs, drivers and events.
 */

import type { EngineContext } from '../context.ts';
import type { Zone } from '../domain/zones.ts';
import type { Health } from '../health.ts';
import type { RedisTarget } from '../redis/client.ts';
import { zoneLog } from '../redis/keys.ts';
import { driversSource, usersSource, type WhatHappened } from './common-logs.ts';
import { FollowedLogs, type StateListener } from './followed-logs.ts';
import { type ZoneFollower, zoneSource } from './zone-log.ts';

export interface FeedListener extends StateListener, WhatHappened {}

/** A feed that is being followed. */
export interface LogFeed {
  /** Since when the feed may be stale, epoch ms; null while it is exact. */
  degradedSince(): number | null;
  /** Follows a zone until the returned function is called. */
  followZone(follower: ZoneFollower): () => void;
  /** Listens to the positions in a zone, without following its jobs, until the returned function is called. */
  hearPositions(zone: Zone): () => void;
  close(): void;
}

export interface Logs {
  /** Follows the logs of drivers and users, and of the zones that are asked for. */
  follow(listener: FeedListener): LogFeed;
}

export interface LogsParts {
  /** Where to subscribe to Redis's channels. */
  subscriberUrl: RedisTarget;
  health: Pick<Health, 'onChange'>;
}

export function createLogs(ctx: EngineContext, parts: LogsParts): Logs {
  return {
    follow(listener) {
      const logs = new FollowedLogs(ctx, parts.subscriberUrl, listener);
      const stop = parts.health.onChange(({ redis, scripts }) => {
        if (redis !== 'ok' || scripts !== 'ok') logs.degrade();
      });
      logs.follow(driversSource(ctx, listener));
      logs.follow(usersSource(ctx, listener));
      return {
        degradedSince: () => logs.degradedSince,
        followZone(follower) {
          const source = zoneSource(ctx, follower);
          logs.follow(source);
          return () => logs.unfollow(source);
        },
        hearPositions(zone) {
          const { live } = zoneLog(zone);
          logs.hear(live);
          return () => logs.unhear(live);
        },
        close() {
          stop();
          logs.close();
        },
      };
    },
  };
}
