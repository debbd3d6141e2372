/** Chaos on a Redis Cluster: primaries die and are replaced, slots move to others, beside every other fault. */
import { describe, it } from 'vitest';
import { WITH_FAILOVERS } from './plan.ts';
import { runSeed, SEED_LIMIT_MS } from './run-seed.ts';

describe('chaos', () => {
  it(
    'with failovers (cluster): nobody twice, nothing lost, nothing stuck, nobody untold',
    () => {
      return runSeed(1, WITH_FAILOVERS, 'cluster');
    },
    SEED_LIMIT_MS,
  );
});
