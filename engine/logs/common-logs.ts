/** The two logs that every gateway follows besides zones: changes of drivers, and what users are told. */
import type { EngineContext } from '../context.ts';
import type { ANEW, UserEvent } from '../projection/tell.ts';
import { runIdOf } from '../redis/client.ts';
import type { KnownDriver } from '../redis/drivers.ts';
import { driversLog, usersLog } from '../redis/keys.ts';
import type { LogSource } from './log-follower.ts';

export interface WhatHappened {
  /** A driver has changed. */
  onDriver(driver: KnownDriver): void;
  /** Changes of drivers may have been missed, and Redis may have forgotten where they are. */
  onDriversMissed(): void;
  /** A user is told something. */
  onUserEvent(event: UserEvent): void;
  /** Events for users may have been missed. */
  onUserEventsMissed(): void;
}

/** What is known of drivers. */
export function driversSource(ctx: EngineContext, listener: WhatHappened): LogSource {
  return {
    keys: driversLog,
    async load(suspect) {
      await ctx.drivers.ensure();
      const last = (await ctx.redis.hget(driversLog.meta, 'last')) ?? '0-0';
      if (suspect) listener.onDriversMissed();
      return last;
    },
    apply(body) {
      listener.onDriver(ctx.drivers.hear(body));
      return true;
    },
  };
}

/** What single users are told. */
export function usersSource({ redis }: EngineContext, listener: WhatHappened): LogSource {
  return {
    keys: usersLog,
    async load(suspect) {
      await redis.hset(usersLog.meta, 'ready', runIdOf(redis));
      const last = (await redis.hget(usersLog.meta, 'last')) ?? '0-0';
      if (suspect) listener.onUserEventsMissed();
      return last;
    },
    apply(body) {
      const event = JSON.parse(body) as UserEvent | typeof ANEW;
      if ('anew' in event) listener.onUserEventsMissed();
      else listener.onUserEvent(event);
      return true;
    },
  };
}
