/** A store that does not answer: nothing is promised, and nothing stays stuck when it is back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { type PushTasks, TryAgainError } from '../../engine/context.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { findJob } from '../../engine/pg/jobs.ts';
import type { UserEvent } from '../../engine/projection/tell.ts';
import { usersLog } from '../../engine/redis/keys.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';
import { settleNow, startMaintenance } from '../support/maintenance.ts';
import { until } from '../support/until.ts';

let t: TestEngine;
beforeAll(async () => {
  // A lease that outlives the test: it is not what frees the job.
  t = await startTestEngine({ claimLeaseMs: 60_000 });
  await t.driver('a');
  await t.driver('b');
});

describe('a Redis that freezes in the middle of a claim', () => {
  it('promises nothing meanwhile; afterwards the job is free for anybody', async () => {
    const job = await t.post();
    t.redis.freeze();
    try {
      expect(await t.engine.jobs.claim(job.id, 'a')).toMatchObject({
        ok: false,
        code: 'try_again',
      });
    } finally {
      t.redis.thaw();
    }
    const won = await until(async () => {
      const result = await t.engine.jobs.claim(job.id, 'b');
      return result.ok && result;
    });
    expect(won.job.driverId).toBe('b');
    expect(await t.engine.jobs.claim(job.id, 'a')).toEqual({ ok: false, code: 'already_accepted' });
  });
});

describe('a Redis that freezes for longer than a lease', () => {
  it('grants nothing to the dead claim that it finds when it wakes up', async () => {
    const short = await startTestEngine({ claimLeaseMs: 200 });
    await short.driver('a');
    await short.driver('b');
    // From here on Redis knows the script.
    expect(await short.engine.jobs.claim((await short.post()).id, 'a')).toMatchObject({ ok: true });
    const job = await short.post();
    short.redis.freeze();
    try {
      expect(await short.engine.jobs.claim(job.id, 'a')).toMatchObject({ code: 'try_again' });
      await sleep(2000);
    } finally {
      short.redis.thaw();
    }
    // No maintenance is there to end the lease.
    await until(async () => (await short.engine.jobs.claim(job.id, 'b')).ok);
  });
});

describe('a Redis that is gone', () => {
  it('keeps posts, which are offered when it is back, and takes no claim', async () => {
    await t.redis.kill();
    const job = await t.post();
    expect(await t.engine.jobs.claim(job.id, 'a')).toMatchObject({ code: 'try_again' });
    const repaired = await repairedInOneTick(job.id);
    expect(repaired).not.toContain('wave_dispatched');
    await t.redis.restart();
    await until(async () => {
      const driver = await t.engine.drivers.know('a');
      return driver !== null && (await t.engine.jobs.claim(job.id, 'a')).ok;
    });
  });

  it('offers no job again that was taken before, whoever still holds its first row', async () => {
    const job = await t.post();
    expect(await t.engine.jobs.claim(job.id, 'a')).toMatchObject({ ok: true });
    await until(async () => (await findJob(t.ctx.db, job.id))?.settledVersion === 2);
    await t.redis.kill();
    await t.redis.restart();
    await until(() => t.ctx.redis.status === 'ready');
    expect(await offered()).not.toContain(job.id);
    await settleNow(t.ctx, job);
    expect(await offered()).not.toContain(job.id);
  });

  it('has waves dispatched when it is back, and only those are counted as repaired', async () => {
    await t.redis.kill();
    const job = await t.post();
    await t.redis.restart();
    await until(async () => (await repairedInOneTick(job.id)).includes('wave_dispatched'));
    expect(t.waves).toContainEqual({ jobId: job.id, wave: 1 });
  });
});

describe('a job that is given back while Redis is frozen', () => {
  it('is given back once Redis knows, and nobody is refused it then', async () => {
    const job = await t.post();
    expect(await t.engine.jobs.claim(job.id, 'a')).toMatchObject({ ok: true });
    await until(async () => (await findJob(t.ctx.db, job.id))?.settledVersion === 2);
    t.redis.freeze();
    try {
      await expect(t.engine.jobs.release(job.id, 'a', null)).rejects.toThrow(TryAgainError);
    } finally {
      t.redis.thaw();
    }
    expect(await findJob(t.ctx.db, job.id)).toMatchObject({ status: 'pending' });
    await until(async () => (await t.engine.jobs.release(job.id, 'a', null)).ok);
    expect(await t.engine.jobs.claim(job.id, 'b')).toMatchObject({ ok: true });
  });
});

describe('a push queue that takes nothing', () => {
  let own: TestEngine;
  let away = false;
  beforeAll(async () => {
    const tasks: PushTasks = {
      enqueueWave: async () => true,
      async enqueueNotifications(notes) {
        if (away) throw new Error('the queue is away');
        return notes.length;
      },
    };
    own = await startTestEngine({}, undefined, undefined, () => tasks);
    await own.driver('a');
    await own.driver('b');
  });
  /** The events that the users log has of a job. */
  const told = async (jobId: string) => {
    const entries = await own.ctx.redis.xrange(usersLog.log, '-', '+');
    const events = entries.map(([, fields]) => JSON.parse(fields[3] ?? '') as UserEvent);
    return events.filter((event) => JSON.stringify(event.data).includes(jobId));
  };

  it('holds up nobody who opens a job again: Redis knows, so another may take it', async () => {
    const [held, reserved] = [await own.post(), await own.post()];
    expect(await own.engine.jobs.claim(held.id, 'a')).toMatchObject({ ok: true });
    expect(await own.engine.jobs.assign(reserved.id, 'a', 'operator:o')).toMatchObject({
      ok: true,
    });
    away = true;
    try {
      expect(await own.engine.jobs.release(held.id, 'a', null)).toMatchObject({ ok: true });
      expect(await own.engine.jobs.release(held.id, 'a', null)).toMatchObject({ ok: true });
      expect(await own.engine.jobs.decline(reserved.id, 'a', null)).toEqual({ ok: true });
      const row = await findJob(own.ctx.db, held.id);
      expect(row?.settledVersion).toBeLessThan(row?.version ?? 0);
      for (const { id } of [held, reserved]) {
        expect(await own.engine.jobs.claim(id, 'b')).toMatchObject({ ok: true });
      }
    } finally {
      away = false;
    }
  });

  it('has people told of the change at once, and shown its notification once', async () => {
    const { id } = await own.post();
    expect(await own.engine.jobs.claim(id, 'a')).toMatchObject({ ok: true });
    const settledAt = (version: number) =>
      until(async () => (await findJob(own.ctx.db, id))?.settledVersion === version);
    await settledAt(2);
    const before = (await told(id)).length;
    away = true;
    try {
      expect(await own.engine.jobs.release(id, 'a', null)).toMatchObject({ ok: true });
      const row = await findJob(own.ctx.db, id);
      if (!row) throw new Error('no such job');
      for (let i = 0; i < 3; i++) await expect(settleNow(own.ctx, row)).rejects.toThrow();
      const news = (await told(id)).slice(before);
      expect(news.map(({ event }) => event)).toContain('job:status');
      expect(news.map(({ event }) => event)).not.toContain('notification');
    } finally {
      away = false;
    }
    await settledAt(3);
    const news = (await told(id)).slice(before);
    expect(news.filter(({ event }) => event === 'notification')).toHaveLength(1);
  });
});

describe('a decline without Redis', () => {
  it('opens the job that was reserved for him, and is known when Redis is back', async () => {
    const job = await t.post();
    expect(await t.engine.jobs.assign(job.id, 'a', 'operator:o')).toMatchObject({ ok: true });
    await t.redis.kill();
    await expect(t.engine.jobs.decline(job.id, 'a', null)).rejects.toThrow(TryAgainError);
    expect(await findJob(t.ctx.db, job.id)).toMatchObject({ status: 'pending', driverId: null });
    await t.redis.restart();
    await until(async () => (await offered()).includes(job.id));
    const a = await t.engine.drivers.know('a');
    expect(a && (await t.engine.jobs.available(a)).map(({ id }) => id)).not.toContain(job.id);
  });
});

/** The jobs that b sees. */
async function offered(): Promise<string[]> {
  const driver = await t.engine.drivers.know('b');
  return driver ? (await t.engine.jobs.available(driver)).map(({ id }) => id) : [];
}

/** What one round of the maintenance counts as repaired, with a job whose wave is overdue. */
async function repairedInOneTick(jobId: string): Promise<string[]> {
  await t.ctx.db.execute(sql`
    update job_waves set opened_at = now() - interval '1 minute' where job_id = ${jobId}`);
  const kinds: string[] = [];
  const metrics = { ...t.ctx.metrics, reconciled: (kind: string) => kinds.push(kind) };
  const maintenance = startMaintenance(t, { ...t.ctx, metrics });
  try {
    await maintenance.tick();
  } finally {
    await maintenance.close();
  }
  return kinds;
}
