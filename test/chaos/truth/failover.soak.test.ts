/** A standby that lacks the last seconds is promoted: what it never heard of is followed, and minted anew. */
import { expect, it } from 'vitest';
import { isClaimable } from '../../../engine/domain/job.ts';
import { findJob } from '../../../engine/pg/jobs.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { cleanups } from '../../support/engine.ts';
import { startMaintenance } from '../../support/maintenance.ts';
import { startReplicated } from '../../support/postgres-copies.ts';
import { until } from '../../support/until.ts';
import { forgotten, nobodySeesTooMuch, nobodyTakes, prepare, startWorld } from './world.ts';

it('a failover that lost its tail is followed, also where versions were minted again', async () => {
  const pg = await startReplicated();
  cleanups.push(() => pg.stop());
  const world = await startWorld(pg.url);
  const { engine, ctx } = world.t;
  const first = startMaintenance(world.t);
  const known = await prepare(world);
  const again = await world.post('c1');
  await until(() => ctx.redis.hexists(keys.truth, 'mark'));
  await pg.cutOff();
  await first.close();
  const gone = await forgotten(world, known);
  await engine.jobs.claim(again, 'd1');
  await world.followed();

  await pg.failOver();
  // The same versions for other contents, before anybody has noticed: what was taken is open for good, what
  // was open and is gone from feeds stays so, and another driver has what Redis says is the first one's.
  const confirmed = () => engine.jobs.confirm(known.taken, 'operator:o');
  await until(async () => (await confirmed().catch(() => null))?.ok);
  const row = await findJob(ctx.db, known.taken);
  expect(row).toMatchObject({ status: 'confirmed', version: 2 });
  const assigned = await engine.jobs.assign(again, 'd2', 'operator:o');
  expect(assigned).toMatchObject({ ok: true, job: { version: 2 } });
  expect(await ctx.redis.hget(keys.job(row?.zone ?? '', known.taken), 'status')).toBe('accepted');

  const leader = startMaintenance(world.t);
  cleanups.push(() => leader.close());
  await world.followed();
  await nobodySeesTooMuch(world);
  await nobodyTakes(world, Object.values(gone));
  for (const id of [known.taken, again]) {
    const now = await findJob(ctx.db, id);
    expect(now && isClaimable(now.status) && now.version > 2).toBe(true);
  }
  await world.holdersKeepTheirs();
  await world.openJobsCanBeTaken();
  await world.followed();
}, 240_000);
