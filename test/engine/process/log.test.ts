/** What the log says of errors that carry secrets: real ones, of the real stores. */

import fastify from 'fastify';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { connectPg } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { createLog } from '../../../engine/process/log.ts';
import { withoutSecrets } from '../../../engine/process/log-error.ts';
import { connectRedis, whenReady } from '../../../engine/redis/client.ts';
import { freshDatabase, freshServer } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A log, and all that was written to it. */
function recorded() {
  const lines: string[] = [];
  return { lines, log: createLog('test', 'debug', { write: (line) => void lines.push(line) }) };
}

async function startRedis(password: string) {
  const server = await freshServer();
  closers.push(() => server.kill());
  const admin = new Redis(server.url);
  await admin.config('SET', 'requirepass', password);
  admin.disconnect();
  return (login: string) => `redis://${login}127.0.0.1:${server.port}`;
}

function connect(url: string, log: ReturnType<typeof createLog>) {
  const redis = connectRedis(url, (error) => log.warn({ err: error }, 'lost'));
  closers.push(() => redis.disconnect());
  return redis;
}

const failure = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

describe('the log', () => {
  it('names a wrong password without saying it, also the old one after a rotation', async () => {
    const { lines, log } = recorded();
    const url = await startRedis('first-secret');
    const redis = connect(url(':first-secret@'), log);
    await whenReady(redis, 5000);
    await redis.config('SET', 'requirepass', 'second-secret');
    redis.disconnect(true);
    await until(() => lines.some((line) => line.includes('WRONGPASS')));
    connect(url(''), log);
    await until(() => lines.some((line) => line.includes('NOAUTH')));
    expect(lines.join('')).not.toMatch(/(first|second)-secret/);
  });

  it('names the command that failed, without its arguments, position or script', async () => {
    const { lines, log } = recorded();
    const redis = connect((await startRedis('pw'))(':pw@'), log);
    await whenReady(redis, 5000);
    const errors = [
      await failure(redis.geoadd('k', 200.123456, 37.774929, 'driver-1')),
      await failure(redis.eval('-- text of a script\nreturn redis.call("GEOADD", "k", 1)', 0)),
      await failure(redis.call('ACL', 'SETUSER', 'ann', 'nonsense', '>a-secret')),
    ];
    for (const err of errors) log.error({ err, error: err }, 'failed');
    const text = lines.join('');
    expect(text).toContain('"command":"geoadd"');
    expect(text).toContain('"type":"ReplyError"');
    expect(text).not.toMatch(/200\.12|37\.77|driver-1|text of a script|a-secret/);
  });

  it('says why a statement failed, without its parameters', async () => {
    const { lines, log } = recorded();
    const pg = connectPg(await freshDatabase());
    closers.push(() => pg.close());
    const token = 'ab'.repeat(32);
    const errors = [
      await failure(pg.db.execute(sql`select ${token}::text, ${'x'}::int`)),
      await failure(pg.db.execute(sql`insert into drivers (id, name) values (${token}, null)`)),
    ];
    for (const err of errors) log.error({ err }, 'failed');
    expect(lines.join('')).toContain('"code":"22P02"');
    expect(lines.join('')).not.toContain(token);
  });

  it('holds also where Fastify logs with serializers of its own', async () => {
    const { lines, log } = recorded();
    const app = fastify({ loggerInstance: log });
    closers.push(() => app.close());
    const err = Object.assign(new Error('WRONGPASS'), {
      command: { name: 'auth', args: ['pw-1'] },
    });
    app.log.error({ err }, 'failed');
    app.log.child({}).error({ err }, 'failed');
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(JSON.parse(line).err.type).toBe('Error');
    expect(lines.join('')).not.toContain('pw-1');
  });

  it.each([
    ['cannot reach redis://ann:secret@db:1', 'cannot reach redis://[hidden]@db:1'],
    [
      'ERR invalid longitude,latitude pair 200.123456,-37.774929',
      'ERR invalid longitude,latitude pair [number],[number]',
    ],
    [`bad token ${'0a'.repeat(32)}`, 'bad token [hex]'],
    ['eyJhbGciOi.eyJzdWIi.c2ln is expired', '[token] is expired'],
    [
      'invalid input syntax for type uuid: "1 Main St"',
      'invalid input syntax for type uuid: "[hidden]"',
    ],
    ['connect ECONNREFUSED 127.0.0.1:6379', 'connect ECONNREFUSED 127.0.0.1:6379'],
  ])('takes what looks like a secret out of: %s', (message, safe) => {
    expect(withoutSecrets(message)).toBe(safe);
  });
});
