/**
 * The last quarter of an hour of a deployment: the leader notes a point in Redis every few seconds, so
 * that the charts are there when somebody first looks.
 */
import type { Resources } from '../context.ts';
import { countNow } from '../pg/counts.ts';
import { keys } from '../redis/keys.ts';
import { CHARTS, keyOf } from './charts.ts';
import { combined, readVitals } from './vitals.ts';

/** What the charts show. */
const KEPT_MS = 900_000;

export interface Point {
  /** Epoch ms. */
  at: number;
  /** By the name of a line (`keyOf`); null where no process measured it. */
  values: Record<string, number | null>;
}

type Context = Pick<Resources, 'db' | 'redis' | 'settings' | 'now'>;

const oldest = ({ now }: Context) => String(Math.floor(now() - KEPT_MS));

/** Notes a point now. */
export async function notePulse(ctx: Context): Promise<void> {
  const { db, redis, settings, now } = ctx;
  const [vitals, counts] = await Promise.all([
    readVitals(ctx),
    countNow(db, settings.driverStaleMs),
  ]);
  const values: Point['values'] = {};
  for (const chart of CHARTS) {
    for (const line of chart.lines) {
      const { source } = line;
      const name = keyOf(chart, line);
      values[name] =
        'counted' in source ? counts[source.counted] : combined({ ...source, name }, vitals);
    }
  }
  const point: Point = { at: now(), values };
  await redis.xadd(keys.pulse, 'MINID', '~', oldest(ctx), '*', 'point', JSON.stringify(point));
}

/** Oldest first. There are none while nobody led. */
export async function readPulse(ctx: Context): Promise<Point[]> {
  const entries: [string, string[]][] = await ctx.redis.xrange(keys.pulse, oldest(ctx), '+');
  return entries.map(([, [, text = '']]) => JSON.parse(text) as Point);
}
