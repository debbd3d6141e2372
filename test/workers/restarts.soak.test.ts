/** Worker processes that die, freeze and come back: who reconciles, and what was due meanwhile. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseWavePlan } from '../../engine/domain/waves.ts';
import { saveDeviceToken } from '../../engine/pg/device-tokens.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { findJob, listEvents } from '../../engine/pg/jobs.ts';
import { listNotifications } from '../../engine/pg/notifications.ts';
import { northOf } from '../support/engine.ts';
import { startTestPush, type TestPush } from '../support/push.ts';
import { tokenOf } from '../support/push-crowd.ts';
import { until } from '../support/until.ts';
import { forkWorker } from '../support/worker-process.ts';

/** With the second that passes between two looks of a successor: replaced within 4 s. */
const LEASE_MS = 3000;
/** For a machine that is busy with other tests. */
const PATIENCE_MS = 60_000;
const TEST_LIMIT_MS = 180_000;
/** So often whoever holds the lease has renewed it while another ran beside him. */
const RENEWALS = 4;
const WAVES = { DISPATCH_WAVES: '5:3600,30' };

let t: TestPush;
beforeAll(async () => {
  t = await startTestPush();
  for (const userId of ['near', 'far']) {
    const token = tokenOf(userId);
    await saveDeviceToken(t.ctx.db, { token, userId, app: 'driver', environment: 'sandbox' });
  }
});

interface Lease {
  holder: string;
  /** On Postgres's clock, ms. */
  expiresAt: number;
  leftMs: number;
}

/** The reconciler's lease, run out or not. */
async function lease(): Promise<Lease | undefined> {
  const [row] = await t.ctx.db.execute<Lease & Record<string, unknown>>(sql`
    select holder, extract(epoch from expires_at)::float8 * 1000 as "expiresAt",
      extract(epoch from expires_at - now())::float8 * 1000 as "leftMs"
    from leases where name = 'maintenance'`);
  return row;
}

const taken = () =>
  until(async () => ((await lease())?.leftMs ?? 0) > 0 && lease(), { timeoutMs: PATIENCE_MS });

async function stop(worker: ChildProcess): Promise<void> {
  worker.kill('SIGTERM');
  await once(worker, 'exit');
}

describe('who reconciles', () => {
  it.each([
    ['freezes', 'SIGSTOP'],
    ['dies', 'SIGKILL'],
  ] as const)(
    'and %s is replaced when his lease has run out',
    async (_what, signal) => {
      const first = await forkWorker(t);
      const before = await taken();
      const second = await forkWorker(t);
      first.kill(signal);
      const last = await until(lease);
      expect(last.holder).toBe(before?.holder);
      // What is left of it, and a second between two looks: this is what 4 s are made of.
      expect(last.leftMs).toBeLessThanOrEqual(LEASE_MS);
      const after = await until(
        async () => {
          const now = await lease();
          return now && now.holder !== last.holder && now;
        },
        { timeoutMs: PATIENCE_MS, what: 'another one reconciles' },
      );
      const takenAt = after.expiresAt - LEASE_MS;
      expect(takenAt, 'never two at once').toBeGreaterThanOrEqual(last.expiresAt);
      first.kill('SIGKILL');
      await stop(second);
    },
    TEST_LIMIT_MS,
  );

  it(
    'and is resumed after he was replaced leaves it to his successor',
    async () => {
      const first = await forkWorker(t);
      const before = await taken();
      const second = await forkWorker(t);
      first.kill('SIGSTOP');
      const holder = await until(
        async () => {
          const now = await lease();
          return now?.holder !== before?.holder && now?.holder;
        },
        { timeoutMs: PATIENCE_MS },
      );
      first.kill('SIGCONT');
      // He works: he looks every second, as often as the lease is renewed.
      const renewed = new Set<number>();
      await until(
        async () => {
          const now = await lease();
          expect(now?.holder).toBe(holder);
          if (now) renewed.add(now.expiresAt);
          return renewed.size > RENEWALS;
        },
        { timeoutMs: PATIENCE_MS },
      );
      await stop(second);
      // And takes it when it is free again.
      await until(async () => (await lease())?.holder === before?.holder, {
        timeoutMs: PATIENCE_MS,
      });
      await stop(first);
    },
    TEST_LIMIT_MS,
  );
});

describe('what was due while no worker ran', () => {
  it(
    'a wider wave is opened and pushed once, and what nobody took expires, when one runs again',
    async () => {
      const worker = await forkWorker(t, WAVES);
      await t.driver('near');
      await t.driver('far', northOf(20));
      const pushes = () => t.simulator.phones.records(job.id).map(({ token }) => token);
      Object.assign(t.ctx.settings, { waves: parseWavePlan(WAVES.DISPATCH_WAVES, 30, 50) });
      const job = await t.post();
      const short = await t.post({ expiresAt: Date.now() + 3_600_000 });
      await until(() => pushes().includes(tokenOf('near')), { timeoutMs: PATIENCE_MS });
      worker.kill('SIGKILL');
      await once(worker, 'exit');
      await t.ctx.db.execute(sql`update jobs set next_wave_at = now() where id = ${job.id}`);
      await t.ctx.db.execute(sql`update jobs set expires_at = now() where id = ${short.id}`);
      expect(await findJob(t.ctx.db, job.id)).toMatchObject({ wave: 1, status: 'pending' });
      expect(pushes()).toEqual([tokenOf('near')]);

      const next = await forkWorker(t, WAVES);
      await until(() => pushes().includes(tokenOf('far')), { timeoutMs: PATIENCE_MS });
      await until(async () => (await findJob(t.ctx.db, short.id))?.status === 'expired');
      const types = async (id: string) => (await listEvents(t.ctx.db, id)).map((e) => e.type);
      expect((await types(job.id)).filter((type) => type === 'job.wave_opened')).toHaveLength(1);
      expect((await types(short.id)).filter((type) => type === 'job.expired')).toHaveLength(1);
      expect(pushes().filter((token) => token === tokenOf('far'))).toHaveLength(1);
      const told = await listNotifications(t.ctx.db, 'c1', 'customer', { limit: 50 });
      expect(
        told
          .filter((notification) => notification.jobId === short.id)
          .map((notification) => notification.type),
      ).toEqual(['job_expired']);
      await stop(next);
    },
    TEST_LIMIT_MS,
  );
});
