/** How the deployment did in the last quarter of an hour, as the leader noted it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { notePulse } from '../../engine/ops/pulse.ts';
import { type Api, postJob, startApi } from './support.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api[Symbol.asyncDispose]());

describe('GET /api/ops/health/history', () => {
  const history = async () => {
    const { status, body } = await api.as('viewer', 'v')<{
      step_s: number;
      times: string[];
      charts: { name: string; lines: { name: string; values: (number | null)[] }[] }[];
    }>('GET', '/api/ops/health/history');
    expect(status).toBe(200);
    return body;
  };
  const line = (of: Awaited<ReturnType<typeof history>>, chart: string, name: string) =>
    of.charts.find((one) => one.name === chart)?.lines.find((one) => one.name === name)?.values;

  test('has a point of what was measured and counted for each time it was noted', async () => {
    const { health } = api.engine.ops;
    const before = (await history()).times.length;
    await health.publish();
    await notePulse(api.engine.ctx);
    for (let i = 0; i < 30; i++) api.engine.ctx.metrics.claim('won', 0.1);
    await health.publish();
    await postJob(api.as('customer', 'c-history'));
    await notePulse(api.engine.ctx);
    const now = await history();
    expect(now.times).toHaveLength(before + 2);
    expect(now.step_s).toBe(15);
    expect(now.charts).toHaveLength(6);
    for (const { lines } of now.charts) {
      for (const { values } of lines) expect(values).toHaveLength(now.times.length);
    }
    const [was, is] = line(now, 'open jobs', 'open')?.slice(-2) ?? [];
    expect((is ?? 0) - (was ?? 0)).toBe(1);
    expect(line(now, 'claims', 'won')?.at(-1)).toBeGreaterThanOrEqual(2);
    expect(line(now, 'oldest push waiting', 'critical')?.at(-1)).toBeNull();
  });
});
