/**
 * Watches whether Postgres went back. A mark in it only grows, and Redis remembers how far it had come; a mark
 * that is behind that, or gone, proves it, even if all processes were stopped meanwhile. Another server,
 * another timeline, or tables that were made again may lack the last moments.
 */
import type { EngineContext } from '../context.ts';
import { advanceMark, createAskServer, setMark } from '../pg/truth.ts';
import { keys } from '../redis/keys.ts';
import { resync } from './resync.ts';

/** One check: compares all of Redis with Postgres if Postgres may have gone back since the last one. */
export type WatchTruth = (signal: AbortSignal) => Promise<number>;

/** The watch returns how much it mended. */
export function createTruthWatch(ctx: EngineContext): WatchTruth {
  const { db, redis, log } = ctx;
  const askServer = createAskServer(db);

  async function remember(mark: string, server: string | null): Promise<void> {
    await redis.hset(keys.truth, 'mark', mark, 'server', server ?? '');
  }

  return async (signal) => {
    const [mark, serverBefore] = await redis.hmget(keys.truth, 'mark', 'server');
    const server = await askServer();
    // Redis was emptied: it holds nothing that could be ahead.
    if (!mark) {
      await remember(await setMark(db), server);
      return 0;
    }
    const isOther = server !== null && !!serverBefore && server !== serverBefore;
    const advanced = isOther ? null : await advanceMark(db, mark);
    if (advanced !== null) {
      await remember(advanced, server);
      return 0;
    }
    const why = isOther
      ? 'another server, timeline, or tables that were restored'
      : 'its mark is behind';
    log.warn({ why }, 'PostgreSQL may have gone back: all of Redis is compared with it');
    const done = await resync(ctx, signal);
    log.info({ ...done }, 'Redis was compared with PostgreSQL');
    // The next turn, or the next leader, does the rest.
    if (!signal.aborted) await remember(await setMark(db), server);
    return done.raised + done.gone + done.drivers + done.repaired;
  };
}
