/**
 * Whole runs of chaos. `CHAOS_SEEDS=20` runs so many seeds, `CHAOS_SEED=7` that one alone. Otherwise seed 2:
 * seed 1 is in `npm test`, shorter.
 */
import { describe, it } from 'vitest';
import { FULL } from './plan.ts';
import { runSeed, SEED_LIMIT_MS } from './run-seed.ts';

const { CHAOS_SEED = 2, CHAOS_SEEDS } = process.env;
const SEEDS = CHAOS_SEEDS
  ? Array.from({ length: Number(CHAOS_SEEDS) }, (_, i) => i + 1)
  : [Number(CHAOS_SEED)];

describe('chaos', () => {
  it.for(SEEDS)(
    'seed %i: nobody twice, nothing lost, nothing stuck, nobody untold',
    { timeout: SEED_LIMIT_MS },
    (seed) => runSeed(seed, FULL),
  );
});
