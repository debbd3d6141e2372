/** Several servers in one URL, of which one takes writes. */
import { beforeAll, describe, expect, it } from 'vitest';
import { connectPg } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { inspectPg } from '../../../engine/pg/inspect.ts';
import { migrate } from '../../../engine/pg/migrate.ts';
import { cleanups } from '../../support/cleanups.ts';
import { type Replicated, startReplicated } from '../../support/postgres-copies.ts';
import { until } from '../../support/until.ts';

let servers: Replicated;
beforeAll(async () => {
  servers = await startReplicated();
  cleanups.push(() => servers.stop());
});

/** The standby comes first. */
function urlOf({ url, ports }: Replicated): string {
  const { username, password, pathname } = new URL(url);
  const hosts = ports.toReversed().map((port) => `127.0.0.1:${port}`);
  return `postgres://${username}:${password}@${hosts.join(',')}${pathname}?target_session_attrs=read-write`;
}

describe('of several servers', () => {
  it('the one that takes writes is used, wherever it stands, also after a failover', async () => {
    const url = urlOf(servers);
    expect(await inspectPg(url)).toMatchObject({ standby: false, currentSchema: true });
    await migrate(url);
    const pg = connectPg(url, 4);
    cleanups.push(() => pg.close());
    const write = () =>
      pg.db.execute(sql`insert into users_blocked (id, blocked_by)
      values (gen_random_uuid()::text, 'muster')`);
    await Promise.all(Array.from({ length: 16 }, write));
    await servers.failOver();
    await until(write);
    await until(async () => !(await inspectPg(url)).standby);
  });
});
