/** One short run of chaos, in which every fault strikes once; more and longer ones are in the soak. */
import { describe, expect, it } from 'vitest';
import { planOf, SHORT } from './plan.ts';
import { runSeed, SEED_LIMIT_MS } from './run-seed.ts';

describe('chaos', () => {
  it('follows a schedule that its seed alone decides', () => {
    expect(planOf(7)).toEqual(planOf(7));
    expect(planOf(7)).not.toEqual(planOf(8));
  });

  it('nobody twice, nothing lost, nothing stuck, nobody untold', { timeout: SEED_LIMIT_MS }, () =>
    runSeed(1, SHORT),
  );
});
