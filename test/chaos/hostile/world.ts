/**
 * The deployment that hostile callers meet: two gateways, HTTP over the same stores, a leader with every
 * duty; and jobs in bulk, as if they had been posted and settled a while ago.
 */

import { createApp } from '../../../api/app.ts';
import { createAuth, type Role } from '../../../api/auth.ts';
import type { EngineContext } from '../../../engine/context.ts';
import { toJobId, zoneOf } from '../../../engine/domain/zones.ts';
import { uuidV7 } from '../../../engine/jobs/post.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { readConfig } from '../../../engine/process/config.ts';
import { createLog } from '../../../engine/process/log.ts';
import { createRegistry } from '../../../engine/process/metrics.ts';
import { type Call, callerOf } from '../../api/support.ts';
import { cleanups } from '../../support/engine.ts';
import { startTestFeed, type TestFeed, tokenFor } from '../../support/feed.ts';
import { startMaintenance } from '../../support/maintenance.ts';

export interface World extends TestFeed {
  /** Calls HTTP with a token of its own. */
  as(role: Role, sub: string): Call;
  /** Calls HTTP without one. */
  anyone: Call;
}

export async function startWorld(): Promise<World> {
  const t = await startTestFeed();
  const registry = createRegistry();
  const config = readConfig({
    DATABASE_URL: t.databaseUrl,
    REDIS_URL: t.redisUrl,
    AUTH_JWT_SECRET: 's'.repeat(32),
  });
  const app = await createApp({
    config,
    engine: t.engine,
    auth: createAuth(config.auth),
    registry,
    log: createLog('test', 'error', { write: () => {} }),
    feed: { ready: () => true },
  });
  cleanups.push(() => app.close());
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  // Of the second engine, as in a worker: the first one serves the calls.
  const maintenance = startMaintenance({
    ctx: t.gateways[1].engine.ctx,
    databaseUrl: t.databaseUrl,
  });
  cleanups.push(() => maintenance.close());
  return Object.assign(t, {
    as: (role: Role, sub: string) => callerOf(url, () => tokenFor(role, sub)),
    anyone: callerOf(url, null),
  });
}

export interface BulkJobs {
  count: number;
  customerId: string;
  at: { lat: number; lng: number };
  notes?: string;
  /** Epoch ms. */
  expiresAt?: number;
}

/** Inserts jobs of one customer at a place, and brings their zone to Redis. Returns their ids. */
export async function fillZone(ctx: EngineContext, jobs: BulkJobs): Promise<string[]> {
  const ids = await insertJobs(ctx, jobs);
  await ctx.projection.rebuild(zoneOf(jobs.at));
  return ids;
}

/** The same in Postgres alone, as after Redis was emptied. */
export async function insertJobs(ctx: EngineContext, jobs: BulkJobs): Promise<string[]> {
  const { count, customerId, at, notes = null, expiresAt } = jobs;
  const zone = zoneOf(at);
  const ids = Array.from({ length: count }, () => toJobId(zone, uuidV7(Date.now())));
  const expires = expiresAt === undefined ? null : new Date(expiresAt).toISOString();
  await ctx.db.execute(sql`
    insert into jobs (id, zone, customer_id, address, lat, lng, total_price, notes, radius_km,
      expires_at, settled_version)
    select id, ${zone}, ${customerId}, '1 Main St', ${at.lat}::float8, ${at.lng}::float8, 120,
      ${notes}::text, 30, ${expires}::timestamptz, 1
    from jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb) as id`);
  return ids;
}

/** How late each of these jobs expired, ms; throws while one of them is open. */
export async function latenessOf(ctx: EngineContext, ids: readonly string[]): Promise<number[]> {
  const rows = await ctx.db.execute<{ status: string; late: number }>(sql`
    select status, extract(epoch from updated_at - expires_at)::float8 * 1000 as late from jobs
    where id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))`);
  if (rows.length !== ids.length) throw new Error(`${ids.length - rows.length} jobs are gone`);
  const open = rows.filter(({ status }) => status !== 'expired').length;
  if (open > 0) throw new Error(`${open} jobs are open still`);
  return rows.map(({ late }) => late);
}
