/** Positions are in no log: a connection that stands but does not bring them is noticed all the same. */
import { it } from 'vitest';
import { zoneOf } from '../../engine/domain/zones.ts';
import { channelOn } from '../../engine/redis/client.ts';
import { zoneLog } from '../../engine/redis/keys.ts';
import { cleanups, HERE, startTestEngine } from '../support/engine.ts';
import type { FaultyProxy } from '../support/proxy.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';
import { until } from '../support/until.ts';

it('positions are heard again, though no job brings any news', async () => {
  let proxy: FaultyProxy | undefined;
  const t = await startTestEngine({}, undefined, undefined, undefined, async (redis) => {
    proxy = await startRedisProxy(redis);
    return proxy.url;
  });
  cleanups.push(() => proxy?.close());
  let heard = 0;
  const nothing = () => {};
  const feed = t.engine.logs.follow({
    onFixes: () => heard++,
    ...{
      onDegraded: nothing,
      onLive: nothing,
      onApplied: nothing,
      onDriver: nothing,
      onDriversMissed: nothing,
    },
    ...{ onUserEvent: nothing, onUserEventsMissed: nothing },
  });
  cleanups.push(() => feed.close());
  const zone = zoneOf(HERE);
  feed.hearPositions(zone);
  // As another process does when it has taken positions in.
  const isHeard = async () => {
    await t.ctx.redis.spublish(channelOn(t.ctx.redis, zoneLog(zone).live), 'fixes []');
    return heard > 0;
  };
  await until(isHeard);

  // As where a firewall has forgotten the connection; a new one is not concerned.
  proxy?.halfOpen();
  proxy?.heal();
  heard = 0;
  await until(isHeard, { pollMs: 200, what: 'positions are heard again' });
});
