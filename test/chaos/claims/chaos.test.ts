/** One short run of chaos, in which every fault strikes once; more and longer ones are in the soak. */
import { describe, expect, it } from 'vitest';
import { FAULT_KINDS, planOf, SHORT } from './plan.ts';
import { runSeed, SEED_LIMIT_MS } from './run-seed.ts';

describe('chaos', () => {
  it('follows a schedule that its seed alone decides', () => {
    const plan = (seed: number) => planOf(seed, SHORT, FAULT_KINDS);
    expect(plan(7)).toEqual(plan(7));
    expect(plan(7)).not.toEqual(plan(8));
  });

  it('nobody twice, nothing lost, nothing stuck, nobody untold', { timeout: SEED_LIMIT_MS }, () =>
    runSeed(1, SHORT),
  );
});
