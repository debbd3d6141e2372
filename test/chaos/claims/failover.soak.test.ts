/**
 * Chaos where Redis has replicas: primaries die and are replaced, slots move to other primaries, beside
 * every other fault.
 */
import { describe, it } from 'vitest';
import { WITH_FAILOVERS } from './plan.ts';
import { runSeed, SEED_LIMIT_MS } from './run-seed.ts';

describe('chaos', () => {
  it.each(['cluster', 'sentinel'] as const)(
    'with failovers (%s): nobody twice, nothing lost, nothing stuck, nobody untold',
    { timeout: SEED_LIMIT_MS },
    (kind) => runSeed(1, WITH_FAILOVERS, kind),
  );
});
