/**
 * The job scripts against the model: random histories of several drivers, with leases that run out,
 * calls that come again, and a Redis that forgets or comes back old. After each step the answer and
 * all that Redis holds must be the model's. Then the same with scripts that are wrong on purpose.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRedis, type RedisClient, whenReady } from '../../../../engine/redis/client.ts';
import { scripts } from '../../../../engine/redis/scripts.ts';
import type { RedisServer } from '../../../../scripts/dev/redis.ts';
import { freshRedis } from '../../../support/servers.ts';
import { apply, type Call, DRIVERS, emptyModel, JOBS, type Model, type Step } from './model.ts';
import { call, expected, look } from './redis-side.ts';

const HISTORIES = 1000;
/** The first that finds a mistake ends the search; a thousand miss the rarest now and then. */
const MUTANT_HISTORIES = 10 * HISTORIES;
const STEPS_MIN = 30;
const STEPS_MAX = 45;
const LEASE_MS = 3_600_000;
const LONG_AGO = 1000;
const MODEL_LIMIT_MS = 240_000;
const MUTANT_LIMIT_MS = 240_000;

let server: RedisServer;
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
const history = fc.array(step, { minLength: STEPS_MIN, maxLength: STEPS_MAX });

/** Plays one history against both; throws at the first difference. */
async function play(steps: readonly Step[]): Promise<void> {
  await redis.flushall();
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

describe('the job scripts', () => {
  it(`agree with the model in ${HISTORIES} histories`, { timeout: MODEL_LIMIT_MS }, async () => {
    await fc.assert(fc.asyncProperty(history, play), { numRuns: HISTORIES });
  });
});

/** Scripts with one mistake: what is replaced by what, and what would come of it. */
const MUTANTS: [script: string, from: string, to: string, harm: string][] = [
  ['claim-job', "if state == 'claiming' then", "if state == 'never' then", 'two hold a lease'],
  ['claim-job', "'claimer') == driver", "'claimer') ~= ''", 'anybody may act on a claim'],
  ['claim-job', "'ready') ~= run", "'ready') == ''", 'a zone counts that nobody filled'],
  ['claim-job', "== 'released' then return { -4", "== '' then return { -4", 'he takes it again'],
  ['claim-job', "status == 'assigned' and", "status == '' and", 'a reserved job is taken'],
  ['claim-job', 'if holder == driver', 'if holder == 0', 'the winner is told that he lost'],
  ['claim-job', "expires ~= '0' and", "expires == '' and", 'an expired job is taken'],
  ['claim-job', "redis.call('ZADD', claims, now + lease, id)", '', 'nobody looks after the claim'],
  [
    'claim-job',
    "redis.call('ZADD', claims, now + lease",
    "redis.call('ZADD', claims, now + 9e6",
    'a lease never runs out',
  ],
  ['put-job', 'stored >= version', 'stored > version', 'the same change is told again'],
  ['put-job', 'stored >= version', 'false', 'old news win'],
  ['put-job', "'ready') ~= run", "'ready') == ''", 'a zone is half filled'],
  ['put-job', "and state ~= 'claiming'", '', 'a rebuild takes a claim away'],
  ['put-job', 'rebuilding and stored == version', 'false and stored', 'refusals stay lost'],
  ['put-job', "redis.call('DEL', job)", '', 'the loser of a reopened job may end its next claim'],
  ['put-job', "redis.call('ZREM', claims, id)", '', 'a settled claim is repaired for ever'],
  ['put-job', "redis.call('ZREM', jobs, id)", '', 'a closed job is offered'],
  ['put-job', "redis.call('EXPIRE', job, ttl)", '', 'tombstones fill the memory'],
  ['put-job', "redis.call('PERSIST', declined)", '', 'a decline is forgotten after an hour'],
  ['put-job', "redis.call('HSET', declined, ARGV[i], ARGV[i + 1])", '', 'refusals are not kept'],
  [
    'put-job',
    "readUnder ~= '' and",
    'false and',
    'what was read before a loss is believed after it',
  ],
  ['put-job', 'if not stored and open', 'if false', 'a job that is gone is offered again'],
  ['put-job', "and readUnder == ''", '', 'a new job is offered to nobody'],
  ['put-job', "redis.call('HDEL', declined, driver)", '', 'he is assigned what he cannot see'],
  ['put-job', 'if known ~= kind and', 'if false and', 'a decline that did not arrive is lost'],
  ['put-job', "known ~= 'released'", "known ~= ''", 'a decline that comes late undoes a release'],
  ['put-job', 'and not forgiven', '', 'he cannot see what he is assigned'],
  ['put-job', 'stored > version or', '', 'refusals that are over count again'],
  ['put-job', "or state == 'closed'", '', 'a closed job has news of its own'],
  ['unclaim-job', 'held ~= token', "held == ''", "somebody else's claim is ended"],
  ['unclaim-job', "'ready') ~= run", "'ready') == ''", 'a past version is offered'],
  ['unclaim-job', "redis.call('ZREM', claims, id)", '', 'an ended claim is repaired'],
  [
    'unclaim-job',
    "redis.call('HDEL', job, 'claimer', 'token', 'lease')",
    '',
    'a token works twice',
  ],
  [
    'refuse-job',
    "== 'released' then return 0",
    "== '' then return 0",
    'a decline undoes a release',
  ],
  ['refuse-job', "state == 'closed'", "state == ''", 'a closed job has news'],
  ['refuse-job', "'ready') ~= run", "'ready') == ''", 'a refusal is lost with the zone'],
  [
    'check-offer',
    "state == 'claiming' then return 2",
    "state == '' then return 2",
    'a taken job is pushed',
  ],
  ['check-offer', 'tonumber(current) > wave', 'false', 'a past wave is pushed'],
  ['check-offer', "expires ~= '0' and", "expires == '' and", 'an expired job is pushed'],
  ['check-offer', "'ready') ~= run", "'ready') == ''", 'an old copy is pushed'],
  ['check-offer', 'return 3', 'return 0', 'a job that is missing is closed'],
  ['check-offer', "status == 'assigned' and", 'false and', 'a reserved job is pushed to others'],
  ['check-offer', 'driver ~= known', 'true', 'a reserved job is pushed to nobody'],
  [
    'read-jobs',
    'local isReady = ready == run',
    "local isReady = ready ~= ''",
    'an old copy is shown',
  ],
  ['put-job', "redis.call('HSET', meta, 'last', id)", '', 'the log is no chain'],
];

describe('a script with a mistake is found out', () => {
  it.for(MUTANTS)('%s: %s → %s: %s', { timeout: MUTANT_LIMIT_MS }, async ([name, from, to]) => {
    const script = scripts.find((one) => one.name === name);
    if (!script) throw new Error(`there is no script ${name}`);
    const { source, sha } = script;
    const wrong = source.replace(from, to);
    expect(wrong).not.toBe(source);
    Object.assign(script, {
      source: wrong,
      sha: createHash('sha1').update(wrong).digest('hex'),
    });
    try {
      const run = fc.asyncProperty(history, play);
      const { failed } = await fc.check(run, { numRuns: MUTANT_HISTORIES, endOnFailure: true });
      expect(failed).toBe(true);
    } finally {
      Object.assign(script, { source, sha });
    }
  });
});
