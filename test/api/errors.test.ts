import { connect } from 'node:net';
import postgres from 'postgres';
import { expect, inject, test } from 'vitest';
import { UnauthorizedError } from '../../api/auth.ts';
import { ApiError, claimAnswer, ERRORS, errorBody, invalid, toApiError } from '../../api/errors.ts';
import { TryAgainError } from '../../engine/context.ts';
import { isOutage } from '../../engine/outage.ts';
import { connectPg } from '../../engine/pg/client.ts';
import { connectRedis, whenReady } from '../../engine/redis/client.ts';
import { freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

test('every code has a status and a sentence', () => {
  for (const [code, [status, sentence]] of Object.entries(ERRORS)) {
    expect(code).toMatch(/^[a-z_]+$/);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(sentence).toMatch(/^[A-Z].*[^.]$/);
  }
});

test('bodies carry what helps and nothing else', () => {
  expect(errorBody(new ApiError('job_not_found'))).toEqual({
    error: 'There is no such job',
    code: 'job_not_found',
  });
  expect(errorBody(invalid([{ field: 'lat', rule: 'is required' }]))).toEqual({
    error: 'lat is required',
    code: 'invalid_request',
    details: [{ field: 'lat', rule: 'is required' }],
  });
  expect(errorBody(new TryAgainError('secret reason', 250))).toEqual({
    error: 'This cannot be answered now, please try again',
    code: 'try_again',
    retry_after_ms: 250,
  });
  expect(errorBody(new UnauthorizedError('The token has expired')).code).toBe('unauthorized');
  expect(errorBody(new Error('password is hunter2'))).toEqual({
    error: 'Something went wrong on our side',
    code: 'internal',
  });
  expect(errorBody('not even an error').code).toBe('internal');
});

test('the answers to a tap', () => {
  expect(claimAnswer({ ok: false, code: 'already_accepted' })).toEqual({
    status: 409,
    body: { error: 'Job already accepted by another driver', code: 'already_accepted' },
  });
  expect(claimAnswer({ ok: false, code: 'try_again', retryAfterMs: 200 })).toMatchObject({
    status: 503,
    body: { code: 'try_again', retry_after_ms: 200 },
  });
});

test('a Postgres that is away or gives up is an outage; a wrong statement is not', async () => {
  const away = connectPg('postgres://u:p@127.0.0.1:9/muster');
  const refused = await away.db.execute('select 1').catch((error: unknown) => error);
  await away.close();
  expect(isOutage(refused)).toBe(true);
  const { db, close } = connectPg(inject('postgresUrl'));
  const wrong = await db.execute('select nonsense').catch((error: unknown) => error);
  const late = await db
    .execute(`select set_config('statement_timeout', '20', true), pg_sleep(5)`)
    .then(() => db.execute(`set statement_timeout = 20; select pg_sleep(5)`))
    .catch((error: unknown) => error);
  await close();
  expect(wrong).toBeInstanceOf(Error);
  expect(isOutage(wrong)).toBe(false);
  expect(isOutage(late)).toBe(true);
  expect(toApiError(late)).toMatchObject({ status: 503, retryAfterMs: 1000 });
});

test('a Redis that is gone is an outage; a wrong command is not', async () => {
  const server = await freshRedis();
  const client = connectRedis(server.url, () => {});
  await whenReady(client, 5000);
  const wrong = await client.call('NONSENSE').catch((error: unknown) => error);
  expect(isOutage(wrong)).toBe(false);
  await server.stop();
  const gone = await until(() =>
    client.ping().then(
      () => null,
      (error: unknown) => error,
    ),
  );
  client.disconnect();
  expect(isOutage(gone)).toBe(true);
});

test('a socket that nobody answers is an outage', async () => {
  const socket = connect({ host: '127.0.0.1', port: 9 });
  const error = await new Promise((resolve) => socket.once('error', resolve));
  expect(isOutage(error)).toBe(true);
  expect(isOutage(new Error('wrapped', { cause: error }))).toBe(true);
  expect(isOutage(new postgres.PostgresError('made up'))).toBe(false);
});
