/**
 * Steps of a race, taken one after the other: rows held by a transaction of the test, answers held
 * on their way, Redis put back to what it was. So each test meets the moment it is about.
 */
import type postgres from 'postgres';
import type { RedisClient } from '../../../engine/redis/client.ts';
import { keysOf } from '../../support/redis-keys.ts';
import { until } from '../../support/until.ts';

export type Verb = () => Promise<boolean>;
export type Row = { table: 'jobs' | 'drivers'; id: string };

/** Locks a row in a transaction of its own. */
export async function holdRow(sql: postgres.Sql, { table, id }: Row) {
  const connection = await sql.reserve();
  await connection.unsafe('begin');
  await connection`select from ${sql(table)} where id = ${id} for update`;
  return {
    async release(): Promise<void> {
      await connection.unsafe('rollback');
      connection.release();
    },
  };
}

/** Both verbs reach the held row, `first` ahead of `second`, before either may write it. */
export async function contend(
  sql: postgres.Sql,
  row: Row,
  first: Verb,
  second: Verb,
): Promise<[boolean, boolean]> {
  const hold = await holdRow(sql, row);
  const one = first();
  await waiting(sql, 1);
  const two = second();
  // A verb that is refused without touching the row never waits.
  await Promise.race([waiting(sql, 2), two, one]);
  await hold.release();
  return Promise.all([one, two]);
}

/** Runs both verbs, each ahead of the other in every second round; `outcomes` are pairs of answers. */
export async function eitherFirst(
  where: {
    system: { contend(job: string, first: Verb, second: Verb): Promise<[boolean, boolean]> };
    job: string;
    round: number;
    outcomes: Set<string>;
  },
  one: Verb,
  two: Verb,
): Promise<[boolean, boolean]> {
  const { system, job, round, outcomes } = where;
  const even = round % 2 === 0;
  const answers = await system.contend(
    job,
    ...(even ? ([one, two] as const) : ([two, one] as const)),
  );
  const [first, second] = even ? answers : answers.toReversed();
  outcomes.add(`${first} ${second}`);
  return [first ?? false, second ?? false];
}

/** Waits until so many statements wait for a lock. */
export async function waiting(sql: postgres.Sql, count: number): Promise<void> {
  await until(async () => {
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    return (row?.n ?? 0) >= count;
  });
}

/**
 * All that Redis holds now; called later it puts Redis back to that, as a restored dump would, whatever is
 * written meanwhile.
 */
export async function copyOf(redis: RedisClient): Promise<() => Promise<void>> {
  const entries = await Promise.all(
    (await keysOf(redis)).map(async (key) => ({ key, value: await redis.dumpBuffer(key) })),
  );
  return async () => {
    for (const key of await keysOf(redis)) await redis.del(key);
    for (const { key, value } of entries) if (value) await redis.restore(key, 0, value, 'REPLACE');
  };
}

/** Each violation once, in the order in which they were found. */
export function violations() {
  const found = new Set<string>();
  return {
    expect(holds: boolean, violation: string): void {
      if (!holds) found.add(violation);
    },
    get list(): string[] {
      return [...found];
    },
  };
}
