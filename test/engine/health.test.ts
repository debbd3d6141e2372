/** Stores that answer and refuse writes are not healthy; asking often costs nothing. */
import postgres from 'postgres';
import { Counter, Gauge } from 'prom-client';
import { beforeAll, describe, expect, it } from 'vitest';
import type { HealthState } from '../../engine/health.ts';
import { createRegistry } from '../../engine/process/metrics.ts';
import { createScrape } from '../../engine/process/scrape.ts';
import { cleanups, startTestEngine, type TestEngine } from '../support/engine.ts';
import { configure } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';

/** Contract section 5, and some for a busy machine. */
const KNOWN_MS = 3000 + 2000;

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});

const health = () => t.engine.health;
const soon = (what: string, condition: () => boolean) =>
  until(condition, { timeoutMs: KNOWN_MS, what });

describe('a Redis that refuses writes', () => {
  it.each([
    ['replicas are missing', ['min-replicas-to-write', '3'], ['min-replicas-to-write', '0']],
    ['no memory is left', ['maxmemory', '1'], ['maxmemory', '0']],
  ] as const)('is not healthy because %s, and well again soon after', async (_why, worse, well) => {
    const { redis } = t.ctx;
    const heard: HealthState[] = [];
    const stop = health().onChange((state) => heard.push(state));
    expect(health().ok()).toBe(true);
    await configure(redis, worse[0], worse[1]);
    await soon('known', () => health().state().scripts === 'failed');
    expect(await redis.ping()).toBe('PONG');
    expect(health().state()).toMatchObject({ redis: 'failed', postgres: 'ok' });
    await configure(redis, well[0], well[1]);
    await soon('well again', () => health().ok());
    expect(heard.at(-1)).toEqual({ redis: 'ok', postgres: 'ok', scripts: 'ok' });
    stop();
  });
});

describe('a PostgreSQL that refuses writes', () => {
  it('is not healthy, and well again soon after', async () => {
    const admin = postgres(t.databaseUrl, { max: 1 });
    cleanups.push(() => admin.end());
    const { pathname } = new URL(t.databaseUrl);
    const name = pathname.slice(1);
    await admin.unsafe(`alter database ${name} set default_transaction_read_only = on`);
    // As an operator does who wants it to be true at once.
    const endOthers = () =>
      admin`select pg_terminate_backend(pid) from pg_stat_activity
            where datname = ${name} and pid <> pg_backend_pid()`;
    await endOthers();
    await soon('known', () => health().state().postgres === 'failed');
    expect(health().state()).toMatchObject({ redis: 'ok', scripts: 'ok' });
    await admin.unsafe('set default_transaction_read_only = off');
    await admin.unsafe(`alter database ${name} reset default_transaction_read_only`);
    await soon('well again', () => health().ok());
  });
});

describe('the page of metrics', () => {
  it('is made once a second, and leaves out what does not answer', async () => {
    const registry = createRegistry();
    let collected = 0;
    new Counter({ name: 'counted', help: 'h', registers: [registry] }).inc();
    new Gauge({
      name: 'frozen',
      help: 'h',
      registers: [registry],
      collect: () => {
        collected++;
        return new Promise<void>(() => {});
      },
    });
    const scrape = createScrape(registry);
    const began = performance.now();
    const pages = await Promise.all(Array.from({ length: 50 }, scrape));
    expect(performance.now() - began).toBeLessThan(KNOWN_MS);
    expect(collected).toBe(1);
    expect(pages[0]).toContain('counted 1');
    expect(pages[0]).not.toContain('frozen');
    expect(new Set(pages).size).toBe(1);
  });
});
