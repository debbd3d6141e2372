/**
 * Whole runs of chaos. `CHAOS_SEEDS=20` runs so many seeds, `CHAOS_SEED=7` that one alone; two otherwise.
 */
import { describe, it } from 'vitest';
import { FULL } from './plan.ts';
import { runSeed, SEED_LIMIT_MS } from './run-seed.ts';

const SEEDS = process.env.CHAOS_SEED
  ? [Number(process.env.CHAOS_SEED)]
  : Array.from({ length: Number(process.env.CHAOS_SEEDS ?? 2) }, (_, i) => i + 1);

describe('chaos', () => {
  it.for(SEEDS)(
    'seed %i: nobody twice, nothing lost, nothing stuck, nobody untold',
    { timeout: SEED_LIMIT_MS },
    (seed) => runSeed(seed, FULL),
  );
});
