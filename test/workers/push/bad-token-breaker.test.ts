import { describe, expect, it } from 'vitest';
import { createBadTokenBreaker } from '../../../workers/push/bad-token-breaker.ts';
import { silentLog } from '../../support/engine.ts';

function answered(answers: readonly boolean[]) {
  const warnings: object[] = [];
  const log = { ...silentLog, warn: (details: object) => warnings.push(details) };
  const breaker = createBadTokenBreaker(log);
  let removable = 0;
  for (const bad of answers) {
    breaker.answered(bad);
    if (bad && !breaker.tripped) removable++;
  }
  return { breaker, removable, warnings };
}
const times = (count: number, bad: boolean) => Array<boolean>(count).fill(bad);

describe('the breaker', () => {
  it('lets the few bad tokens of every day go', () => {
    const day = Array.from({ length: 2000 }, (_, i) => i % 25 === 0);
    expect(answered(day)).toMatchObject({ removable: 80, warnings: [] });
    expect(answered(times(5, true)).removable).toBe(5);
  });

  it('keeps the table when every token is bad, however slowly they come, and says so once', () => {
    const { breaker, removable, warnings } = answered(times(5000, true));
    expect(breaker.tripped).toBe(true);
    expect(removable).toBe(5);
    expect(warnings).toHaveLength(1);
  });

  it('trips in a process that has known better days, and recovers with good answers', () => {
    const mixUp = answered([...times(5000, false), ...times(200, true)]);
    expect(mixUp.removable).toBe(20);
    expect(mixUp.breaker.tripped).toBe(true);
    for (let i = 0; i < 200; i++) mixUp.breaker.answered(false);
    expect(mixUp.breaker.tripped).toBe(false);
  });
});
