/** How a Postgres that went back is noticed: by its mark, by which server it is, and by neither in vain. */
import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import postgres from 'postgres';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectPg } from '../../../engine/pg/client.ts';
import { createAskServer } from '../../../engine/pg/truth.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { createTruthWatch } from '../../../engine/truth/truth.ts';
import { cleanups, startTestEngine, type TestEngine } from '../../support/engine.ts';

let t: TestEngine;
const { signal } = new AbortController();
let said: object[];
beforeAll(async () => {
  t = await startTestEngine();
});

/** Another leader's watch, which writes down why it compared. */
function watch() {
  said = [];
  const log = { ...t.ctx.log, warn: (details: object) => void said.push(details) };
  return createTruthWatch({ ...t.ctx, log });
}

/** So many look in turn. */
async function look(times = 1): Promise<object[]> {
  const look = watch();
  for (let i = 0; i < times; i++) await look(signal);
  return said;
}

describe('the watch', () => {
  it('compares nothing while Postgres goes on, whoever looks', async () => {
    expect(await look(5)).toEqual([]);
    expect(await look(5)).toEqual([]);
  });

  it.each([
    [
      'is behind',
      sql`update leases set expires_at = expires_at - interval '1 microsecond' where name = 'truth'`,
    ],
    ['is gone', sql`delete from leases where name = 'truth'`],
  ])('compares all, once, when the mark %s', async (_how, back) => {
    await look();
    await t.ctx.db.execute(back);
    expect(await look(3)).toEqual([{ why: expect.stringContaining('mark') }]);
  });

  it('does not mind a clock that went back', async () => {
    await look();
    await t.ctx.db.execute(
      sql`update leases set expires_at = now() + interval '1 hour' where name = 'truth'`,
    );
    await look();
    const mark = async () => Number(await t.ctx.redis.hget(keys.truth, 'mark'));
    const before = await mark();
    expect(await look(3)).toEqual([]);
    expect(await mark()).toBe(before + 3);
  });

  it('compares all, once, on another server', async () => {
    await look();
    await t.ctx.redis.hset(keys.truth, 'server', '1/00000001');
    expect(await look(3)).toEqual([{ why: expect.stringContaining('server') }]);
  });

  it('leaves what was not compared to the next', async () => {
    await look();
    await t.ctx.db.execute(sql`delete from leases where name = 'truth'`);
    await watch()(AbortSignal.abort());
    expect(await look(3)).toEqual([{ why: expect.stringContaining('mark') }]);
  });
});

describe('which server it is', () => {
  it('is told to any role, and where it is not nobody asks again', async () => {
    const admin = postgres(t.databaseUrl, { max: 1 });
    const name = `plain_${randomBytes(4).toString('hex')}`;
    await admin.unsafe(`create role ${name} login password 'x'`);
    cleanups.push(async () => {
      await admin.unsafe(`drop role ${name}`);
      await admin.end();
    });
    const url = new URL(t.databaseUrl);
    [url.username, url.password] = [name, 'x'];
    const pg = connectPg(url.href, 1);
    cleanups.push(() => pg.close());
    const [row] = await admin<{ id: string }[]>`
      select system_identifier::text as id from pg_control_system()`;
    expect(await createAskServer(pg.db)()).toBe(`${row?.id}/00000001`);
    await admin.unsafe('revoke execute on function pg_control_system() from public');
    expect(await createAskServer(pg.db)()).toBeNull();
  });
});
