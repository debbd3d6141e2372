import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { ReadinessAnswer } from '../../api/answers.ts';
import { validate } from '../../api/validate.ts';
import { until } from '../support/until.ts';
import { CITY, enrol, postJob, refused, startApi } from './support.ts';

test('alive, ready and measured', async () => {
  await using api = await startApi();
  expect(await api.anyone('GET', '/healthz')).toMatchObject({
    status: 200,
    body: { status: 'ok' },
  });
  const ready = await api.anyone('GET', '/readyz');
  expect(validate(ReadinessAnswer, ready.body)).toEqual([]);
  expect(ready).toMatchObject({
    status: 200,
    body: {
      status: 'ready',
      checks: { redis: 'ok', postgres: 'ok', scripts: 'ok', feed: 'ok' },
    },
  });
  const customer = api.as('customer', 'c1');
  const job = await postJob(customer);
  await customer('GET', `/api/jobs/${job.id}`);
  await customer('GET', '/api/nothing');
  const metrics = await until(async () => {
    const { body } = await api.anyone<string>('GET', '/metrics');
    return body.includes('route="none"') && body;
  });
  const bucket = 'muster_http_request_seconds_count';
  expect(metrics).toContain(`${bucket}{method="GET",route="/api/jobs/:id",status="200"} 1`);
  expect(metrics).toContain(`${bucket}{method="POST",route="/api/jobs",status="201"} 1`);
  expect(metrics).toContain(`${bucket}{method="GET",route="none",status="404"} 1`);
  expect(metrics).toContain('muster_claims_total');
  expect(metrics).toContain('process_cpu_seconds_total');
  expect(metrics).not.toContain(job.id);
});

test('a Redis that lost the scripts is given them', async () => {
  await using api = await startApi();
  await api.engine.ctx.redis.script('FLUSH');
  await until(async () => (await api.anyone('GET', '/readyz')).status === 200);
});

test('a feed that is not followed is not ready', async () => {
  await using api = await startApi({}, { feed: { ready: () => false } });
  expect(await api.anyone('GET', '/readyz')).toMatchObject({
    status: 503,
    body: { status: 'not_ready', checks: { feed: 'failed', redis: 'ok' } },
  });
});

describe('while Postgres is stuck', () => {
  test('nobody waits for long, and no parameter gets into the log', async () => {
    await using api = await startApi();
    const driver = await enrol(api, 'd1');
    const job = await postJob(api.as('customer', 'c1'));
    const blocker = postgres(api.config.databaseUrl, { max: 1, onnotice: () => {} });
    const token = 'ab'.repeat(32);
    const again = { ...refused(503, 'try_again'), body: { retry_after_ms: expect.any(Number) } };
    await blocker.begin(async (locked) => {
      await locked`lock table jobs, device_tokens in access exclusive mode`;
      const started = performance.now();
      const [accepted, registered] = await Promise.all([
        driver('POST', `/api/drivers/jobs/${job.id}/accept`),
        driver('POST', '/api/push/tokens', { token }),
      ]);
      expect(accepted).toMatchObject(again);
      expect(registered).toMatchObject(again);
      expect(performance.now() - started).toBeLessThan(10_000);
    });
    await blocker.end();
    expect(await driver('POST', '/api/push/tokens', { token })).toMatchObject({ status: 204 });
    await until(async () => {
      const { status } = await driver('POST', `/api/drivers/jobs/${job.id}/accept`);
      return status === 200;
    });
    const lines = JSON.stringify(api.logged);
    expect(lines).toContain('lock timeout');
    expect(lines).not.toContain(token);
  });
});

describe('without Redis', () => {
  test('what needs it may be tried again, what is in Postgres is still read', async () => {
    await using api = await startApi();
    const driver = await enrol(api, 'd1');
    const customer = api.as('customer', 'c1');
    const job = await postJob(customer);
    await api.redis.kill();
    const ready = await until(async () => {
      const answer = await api.anyone('GET', '/readyz');
      return answer.status === 503 && answer;
    });
    expect(ready.body).toMatchObject({
      status: 'not_ready',
      checks: { redis: 'failed', scripts: 'failed', postgres: 'ok' },
    });
    const again = { ...refused(503, 'try_again'), body: { retry_after_ms: expect.any(Number) } };
    expect(await driver('POST', `/api/drivers/jobs/${job.id}/accept`)).toMatchObject(again);
    expect(await driver('GET', '/api/drivers/jobs/available')).toMatchObject(again);
    const located = await driver('POST', '/api/drivers/location', CITY);
    expect(located).toMatchObject(again);
    expect(located.headers.get('retry-after')).toBe('1');
    expect(await driver('GET', '/api/drivers/me')).toMatchObject({ status: 200 });
    expect(await customer('GET', `/api/jobs/${job.id}`)).toMatchObject({
      status: 200,
      body: { status: 'pending' },
    });
    expect(await customer('GET', '/api/jobs')).toMatchObject({ status: 200 });
    expect(await customer('GET', '/api/notifications')).toMatchObject({ status: 200 });
    const token = { token: 'ab'.repeat(32) };
    expect(await driver('POST', '/api/push/tokens', token)).toMatchObject({ status: 204 });
    expect(await api.anyone('GET', '/healthz')).toMatchObject({ status: 200 });
    expect(api.logged.filter(({ level }) => level > 40)).toEqual([]);
  });
});
