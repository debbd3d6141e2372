/** The same with scripts that are wrong on purpose: the model finds every mistake. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scripts } from '../../../../engine/redis/scripts.ts';
import { HISTORIES, history, MODEL_LIMIT_MS, play } from './histories.ts';

/** The first that finds a mistake ends the search; a thousand miss the rarest now and then. */
const MUTANT_HISTORIES = 10 * HISTORIES;

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
  ['put-job', "or state == 'gone'", '', 'a job whose row is gone has news'],
  ['claim-job', "or state == 'gone'", '', 'a job whose row is gone is taken'],
  ['refuse-job', "or state == 'gone'", '', 'a job whose row is gone has news'],
  ['check-offer', "or state == 'gone'", '', 'nobody asks the row of a job that came back'],
  ['forget-job', "state == 'gone' or", '', 'it is told to be over again and again'],
  ['forget-job', 'or stored ~= version', '', 'a job that was changed meanwhile is forgotten'],
  ['forget-job', "redis.call('ZREM', jobs, id)", '', 'a job whose row is gone is offered'],
  ['forget-job', "redis.call('ZREM', claims, id)", '', 'its claim is repaired for ever'],
  ['forget-job', "redis.call('EXPIRE', job, ttl)", '', 'tombstones fill the memory'],
  ['forget-job', 'tonumber(version) + 1', 'tonumber(version)', 'clients take it for old news'],
  ['forget-job', "if state ~= 'closed' then", 'if true then', 'what is closed is closed again'],
];

describe('a script with a mistake is found out', () => {
  it.for(MUTANTS)('%s: %s → %s: %s', { timeout: MODEL_LIMIT_MS }, async ([name, from, to]) => {
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
