/**
 * The job scripts against the model: random histories of several drivers, with leases that run out,
 * calls that come again, and a Redis that forgets or comes back old. After each step the answer and
 * all that Redis holds must be the model's.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect } from 'vitest';
import { connectRedis, type RedisClient, whenReady } from '../../../../engine/redis/client.ts';
import { emptyRedis } from '../../../support/redis-keys.ts';
import { freshRedis, type OwnRedis } from '../../../support/servers.ts';
import { apply, type Call, DRIVERS, emptyModel, JOBS, type Model, type Step } from './model.ts';
import { call, expected, look } from './redis-side.ts';

export const HISTORIES = 1000;
const STEPS_MIN = 30;
const STEPS_MAX = 45;
const LEASE_MS = 3_600_000;
const LONG_AGO = 1000;
export const MODEL_LIMIT_MS = 240_000;

let server: OwnRedis;
let redis: RedisClient;
beforeAll(async () => {
  server = await freshRedis();
  redis = connectRedis(server.url, () => {});
  await whenReady(redis, 10_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const job = fc.constantFrom(...JOBS);
const driver = fc.constantFrom(...DRIVERS);
const refusal = fc.constantFrom('declined' as const, 'released' as const);
const refusals = fc.array(fc.tuple(driver, refusal), { maxLength: 2 });
const nth = fc.nat(8);
/** Mostly what happens all day; some of what happens once a year. */
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      job,
      ahead: fc.constantFrom(-1, 0, 1, 1, 1, 2),
      to: fc.oneof(
        fc.constant({ status: 'pending' as const, driver: '' as const }),
        fc.record({ status: fc.constantFrom('assigned' as const, 'accepted' as const), driver }),
        fc.constant({ status: 'cancelled' as const, driver: '' as const }),
      ),
      wave: fc.integer({ min: 1, max: 3 }),
      expires: fc.constantFrom(0, 0, 0, LONG_AGO),
      refusals,
      rebuilding: fc.constantFrom(false, false, false, true),
      read: fc.constantFrom(
        'any time' as const,
        'any time' as const,
        'now' as const,
        'earlier' as const,
      ),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      job,
      driver,
      leaseMs: fc.constantFrom(LEASE_MS, LEASE_MS, -1),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('unclaim' as const), job, nth }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('refuse' as const), job, driver, kind: refusal }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('offer' as const),
      job,
      wave: fc.integer({ min: 1, max: 3 }),
      reservedFor: fc.constantFrom('' as const, ...DRIVERS),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('sweep' as const), job, refusals }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'read' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'overdue' as const }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('replay' as const), nth }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('restart' as const),
      ready: fc.constantFrom(true, true, false),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'forget' as const }) },
);
export const history = fc.array(step, { minLength: STEPS_MIN, maxLength: STEPS_MAX });

/** Plays one history against both; throws at the first difference. */
export async function play(steps: readonly Step[]): Promise<void> {
  await emptyRedis(redis);
  await call(redis, { do: 'restart', ready: true });
  const model = emptyModel();
  const calls: Call[] = [];
  for (const one of steps) {
    const next = decide(model, calls, one);
    if (!next) continue;
    calls.push(next);
    expect({ call: next, answer: await call(redis, next) }).toEqual({
      call: next,
      answer: apply(model, next),
    });
    expect({ after: next, ...(await look(redis)) }).toEqual({ after: next, ...expected(model) });
  }
}

/** What a step means here and now; nothing when there is nothing to repeat. */
function decide(model: Model, calls: readonly Call[], one: Step): Call | undefined {
  switch (one.do) {
    case 'put': {
      const { ahead, ...rest } = one;
      return { ...rest, version: Math.max(1, (model.jobs.get(one.job)?.version ?? 0) + ahead) };
    }
    case 'sweep': {
      const stored = model.jobs.get(one.job);
      if (!stored) return undefined;
      const { version, status, driver, wave, expires } = stored;
      const row = { version, to: { status, driver }, wave, expires };
      return { ...one, ...row, do: 'put', rebuilding: false, read: 'any time' };
    }
    case 'claim':
      return { ...one, token: `t${calls.length}` };
    case 'unclaim': {
      const tokens = calls.flatMap((c) => (c.do === 'claim' ? [c.token] : []));
      return { do: 'unclaim', job: one.job, token: tokens.at(-1 - one.nth) ?? 'nobody' };
    }
    case 'replay':
      return calls.at(-1 - one.nth);
    default:
      return one;
  }
}
