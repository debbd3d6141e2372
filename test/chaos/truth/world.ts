/**
 * A deployment whose Postgres goes back: people on real sockets before and after it, and what must hold of
 * them afterwards. Their apps are the client library.
 */
import postgres from 'postgres';
import { expect } from 'vitest';
import {
  isActive,
  isClaimable,
  isHeld,
  type JobRow,
  toOwnersJob,
} from '../../../engine/domain/job.ts';
import { findJob } from '../../../engine/pg/jobs.ts';
import { Feed } from '../../../scripts/client/feed.ts';
import type { ServerFrame } from '../../../scripts/client/protocol.ts';
import { cleanups } from '../../support/engine.ts';
import { startTestFeed, TestClient, type TestFeed } from '../../support/feed.ts';
import { until } from '../../support/until.ts';

/** Contract section 12. */
export const FOLLOWED_WITHIN_MS = 60_000;
const DRIVERS = ['d1', 'd2', 'd3'];
const CUSTOMERS = ['c1', 'c2'];

/** What a client holds, job → version, by all frames that it was sent. */
function heldBy({ frames }: TestClient, keeps: typeof isActive): Map<string, number> {
  const handlers = { added: () => {}, changed: () => {}, gone: () => {} };
  const feed = new Feed(keeps, handlers);
  for (const frame of frames) feed.apply(frame as unknown as ServerFrame);
  return new Map([...feed.jobs].map(([id, { version }]) => [id, version]));
}

export type World = Awaited<ReturnType<typeof startWorld>>;

/** Drivers `d1` to `d3` at work, `banned` suspended; customers `c1` and `c2` watch. */
export async function startWorld(databaseUrl?: string) {
  const t = await startTestFeed({}, { ...(databaseUrl && { databaseUrl }) });
  const sql = postgres(t.databaseUrl, { max: 2, onnotice: () => {} });
  cleanups.push(() => sql.end());
  for (const id of [...DRIVERS, 'banned']) await t.driver(id);
  await setApproval(t, 'banned', 'suspended');
  const clients = new Map<string, TestClient>();
  const connect = async (role: 'driver' | 'customer', id: string) => {
    const { url } = t.gateways[clients.size % 2 === 0 ? 0 : 1];
    clients.set(id, await TestClient.connect(url, role, id));
  };
  for (const id of DRIVERS) await connect('driver', id);
  for (const id of CUSTOMERS) await connect('customer', id);
  const client = (id: string) => clients.get(id) as TestClient;

  async function rows(): Promise<JobRow[]> {
    const found = await sql<{ id: string }[]>`select id from jobs`;
    const all = await Promise.all(found.map(({ id }) => findJob(t.ctx.db, id)));
    return all.filter((row) => row !== null);
  }

  /** Does every driver's feed hold what the rows say, no more and no less? */
  async function driversAreExact(): Promise<boolean> {
    const jobs = await rows();
    const refusals = await sql<{ job: string; driver: string }[]>`
      select job_id as job, driver_id as driver from job_refusals`;
    for (const id of DRIVERS) {
      const refused = new Set(refusals.filter((one) => one.driver === id).map(({ job }) => job));
      const shown = jobs.filter((row) => isFor(row, id) && !refused.has(row.id));
      expect({ [id]: heldBy(client(id), isClaimable) }).toEqual({ [id]: versionsOf(shown) });
    }
    return true;
  }

  /** And every customer's? */
  async function feedsAreExact(): Promise<boolean> {
    await driversAreExact();
    const jobs = await rows();
    for (const id of CUSTOMERS) {
      const own = jobs.filter((row) => row.customerId === id && isActive(row.status));
      expect({ [id]: heldBy(client(id), isActive) }).toEqual({ [id]: versionsOf(own) });
    }
    return true;
  }

  return {
    /** Posts as a customer's app does, which holds the answer. */
    async post(customerId: string): Promise<string> {
      const row = await t.post({ customerId });
      client(customerId).frames.push({ event: 'job:new', data: toOwnersJob(row) });
      return row.id;
    },
    t,
    sql,
    connect,
    client,
    driversAreExact,
    feedsAreExact,
    /** Waits until every feed is exact; `timeoutMs` is what it may take. */
    async followed(timeoutMs = FOLLOWED_WITHIN_MS) {
      await until(feedsAreExact, { timeoutMs, pollMs: 100 });
    },
    /** Whatever is open can be taken, and who was chosen is told so. */
    async openJobsCanBeTaken() {
      for (const row of await rows()) {
        if (!isClaimable(row.status)) continue;
        const driver = row.driverId ?? 'd3';
        expect(await t.engine.jobs.claim(row.id, driver)).toMatchObject({
          ok: true,
          job: { driverId: driver },
        });
      }
    },
    /** Whoever holds a job by its row does so by the gate, and nobody else. */
    async holdersKeepTheirs() {
      for (const { id, status, driverId } of await rows()) {
        if (!isHeld(status) || driverId === null) continue;
        const other = driverId === 'd3' ? 'd2' : 'd3';
        expect(await t.engine.jobs.claim(id, driverId)).toMatchObject({ ok: true });
        expect(await t.engine.jobs.claim(id, other)).toMatchObject({ code: 'already_accepted' });
      }
    },
  };
}

const isFor = ({ status, driverId }: JobRow, driver: string) =>
  isClaimable(status) && (status !== 'assigned' || driverId === driver);

const versionsOf = (rows: readonly JobRow[]) =>
  new Map(rows.map(({ id, version }) => [id, version]));

export async function setApproval(
  t: TestFeed,
  id: string,
  approvalStatus: 'approved' | 'suspended',
): Promise<void> {
  await t.engine.drivers.change(id, { approvalStatus });
}

/** What is in the dump, or on the standby. */
export async function prepare({ t, post }: World) {
  const { jobs } = t.engine;
  const [untouched, taken, declined, cancelled, released, completed, assigned] = [
    await post('c1'),
    await post('c1'),
    await post('c2'),
    await post('c2'),
    await post('c1'),
    await post('c2'),
    await post('c1'),
  ];
  await jobs.claim(released, 'd1');
  await jobs.claim(completed, 'd2');
  return { untouched, taken, declined, cancelled, released, completed, assigned };
}

/** What Postgres forgets. Returns jobs that it will not know any more. */
export async function forgotten(
  world: World,
  known: Awaited<ReturnType<typeof prepare>>,
): Promise<{ open: string; held: string }> {
  const { t } = world;
  const { jobs } = t.engine;
  const verbs = [
    () => jobs.claim(known.taken, 'd1'),
    () => jobs.decline(known.declined, 'd1', null),
    () => jobs.cancel(known.cancelled, 'customer:c2', null),
    () => jobs.release(known.released, 'd1', null),
    () => jobs.progress(known.completed, 'd2', 'started'),
    () => jobs.progress(known.completed, 'd2', 'completed'),
    () => jobs.assign(known.assigned, 'd2', 'operator:o'),
  ];
  // A dump sends every connection away: a call that meets one of them is made again, as people do.
  for (const verb of verbs) await until(async () => (await verb()) || true);
  const [open, held] = [await world.post('c1'), await world.post('c2')];
  await jobs.claim(held, 'd2');
  await setApproval(t, 'banned', 'approved');
  await t.engine.drivers.setAvailability('banned', true);
  await world.connect('driver', 'banned');
  await t.driver('newcomer');
  await world.connect('driver', 'newcomer');
  await world.followed();
  await until(() => heldBy(world.client('banned'), isClaimable).size > 0);
  return { open, held };
}

/** Whoever is suspended by his row is sent away, and whoever has none is shown nothing. */
export async function nobodySeesTooMuch({ t, client }: World): Promise<void> {
  await until(() => client('banned').closed, { timeoutMs: FOLLOWED_WITHIN_MS });
  expect(client('banned').closed).toMatchObject({ code: 4501 });
  await until(() => heldBy(client('newcomer'), isClaimable).size === 0);
  for (const id of ['banned', 'newcomer']) {
    const known = await t.engine.drivers.know(id);
    expect(known ? await t.engine.jobs.available(known) : []).toEqual([]);
  }
}

/** Jobs whose rows are gone. Feeds are told before Redis forgets, so that may be a moment later. */
export async function nobodyTakes({ t }: World, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await until(async () => {
      const answer = await t.engine.jobs.claim(id, 'd1');
      return !answer.ok && answer.code === 'job_not_found';
    });
  }
}
