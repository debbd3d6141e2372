/** The two logs that every gateway follows besides zones: changes of drivers, and what users are told. */
import type { Engine } from '../../engine/engine.ts';
import type { UserEvent } from '../../engine/projection/tell.ts';
import { runIdOf } from '../../engine/redis/client.ts';
import { driversLog, usersLog } from '../../engine/redis/keys.ts';
import type { DriverWatch } from './driver-watch.ts';
import type { LogSource } from './log-follower.ts';
import type { Sessions } from './sessions.ts';

/** What is known of drivers: after a loss all connected ones are read again and count again. */
export function driversSource(engine: Engine, sessions: Sessions, watch: DriverWatch): LogSource {
  const { ctx } = engine;
  return {
    keys: driversLog,
    async load(suspect) {
      await engine.drivers.ensure();
      const last = (await ctx.redis.hget(driversLog.meta, 'last')) ?? '0-0';
      if (suspect) reviveDrivers(engine, sessions);
      return last;
    },
    apply(body) {
      const driver = engine.drivers.hear(body);
      watch.onDriver(driver);
      for (const session of sessions.of('driver', driver.id)) {
        if (session.role === 'driver') session.onDriver(driver);
      }
    },
  };
}

/** Redis may have forgotten where the connected drivers are: tell it, without a fix from them. */
function reviveDrivers(engine: Engine, sessions: Sessions): void {
  for (const { session } of sessions.members()) {
    if (session.role !== 'driver') continue;
    if (session.driver) void engine.drivers.track(session.driver, session.driver.fix);
    engine.drivers.know(session.connection.identity.sub).then(
      (driver) => driver && session.onDriver(driver),
      () => {},
    );
  }
}

/** What single users are told. Customers read anew what they may have missed. */
export function usersSource(engine: Engine, sessions: Sessions): LogSource {
  const { redis } = engine.ctx;
  return {
    keys: usersLog,
    async load(suspect) {
      await redis.hset(usersLog.meta, 'ready', runIdOf(redis));
      const last = (await redis.hget(usersLog.meta, 'last')) ?? '0-0';
      for (const { session } of sessions.members()) {
        if (suspect && session.role === 'customer') session.resync('users_log');
      }
      return last;
    },
    apply(body) {
      const event = JSON.parse(body) as UserEvent;
      for (const session of sessions.of(event.app, event.user)) session.onUserEvent(event);
    },
  };
}
