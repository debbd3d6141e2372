/** Chaos behind Sentinels: the primary dies and is replaced, beside every other fault. */
import { describe, it } from 'vitest';
import { WITH_FAILOVERS } from './plan.ts';
import { runSeed, SEED_LIMIT_MS } from './run-seed.ts';

describe('chaos', () => {
  it(
    'with failovers (sentinel): nobody twice, nothing lost, nothing stuck, nobody untold',
    () => {
      return runSeed(1, WITH_FAILOVERS, 'sentinel');
    },
    SEED_LIMIT_MS,
  );
});
