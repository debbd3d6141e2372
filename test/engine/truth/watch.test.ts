/** How a Postgres that went back is noticed: by its mark, by which server it is, and by neither in vain. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectPg } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
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

/** As `pg_restore --clean` does: the same rows in a table that was made again. */
async function restoreLeases(): Promise<void> {
  await t.ctx.db.transaction(async (tx) => {
    await tx.execute(sql`alter table leases rename to dumped`);
    await tx.execute(sql`create table leases (like dumped including all)`);
    await tx.execute(sql`insert into leases select * from dumped`);
    await tx.execute(sql`drop table dumped`);
  });
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

  it.each([
    ['another server', () => t.ctx.redis.hset(keys.truth, 'server', '1/00000001/1/1')],
    ['tables that were restored a moment ago, their mark with them', restoreLeases],
  ])('compares all, once, on %s', async (_where, back) => {
    await look();
    await back();
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
  it('is told to any role, and where it is not, whose tables they are', async () => {
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
    const tables = expect.stringMatching(/^\d+\/\d+$/);
    const asked = await createAskServer(pg.db)();
    const [id, timeline, ...rest] = asked?.split('/') ?? [];
    expect([id, timeline, rest.join('/')]).toEqual([row?.id, '00000001', tables]);
    await admin.unsafe('revoke execute on function pg_control_system() from public');
    expect(await createAskServer(pg.db)()).toEqual(tables);
  });
});
