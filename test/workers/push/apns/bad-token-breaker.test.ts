import { describe, expect, it } from 'vitest';
import { createBadTokenBreaker } from '../../../../workers/push/apns/bad-token-breaker.ts';
import type { ApnsOutcome } from '../../../../workers/push/apns/messages.ts';
import { silentLog } from '../../../support/engine.ts';

const BAD: ApnsOutcome = { outcome: 'rejected', status: 400, reason: 'BadDeviceToken' };
const GOOD: ApnsOutcome = { outcome: 'sent' };

function judge() {
  const warnings: object[] = [];
  const judgeOne = createBadTokenBreaker({
    ...silentLog,
    warn: (details: object) => warnings.push(details),
  });
  /** How many tokens would be removed. */
  const removable = (answers: readonly boolean[], topic = 'app') =>
    answers.filter((bad) => {
      const taken = judgeOne(topic, bad ? BAD : GOOD);
      return bad && taken.outcome === 'rejected' && taken.reason === 'BadDeviceToken';
    }).length;
  return { removable, warnings };
}
const times = (count: number, bad: boolean) => Array<boolean>(count).fill(bad);

describe('the breaker', () => {
  it('lets the few bad tokens of every day go', () => {
    const { removable, warnings } = judge();
    expect(removable(Array.from({ length: 2000 }, (_, i) => i % 25 === 0))).toBe(80);
    expect(warnings).toEqual([]);
    expect(judge().removable(times(5, true))).toBe(5);
  });

  it('keeps the table when every token is bad, however slowly they come, and says so once', () => {
    const { removable, warnings } = judge();
    expect(removable(times(5000, true))).toBe(5);
    expect(warnings).toEqual([{ topic: 'app', bad: 6, of: 6 }]);
  });

  it('takes one in twenty for ordinary, and more for a wrong setting', () => {
    const oneIn = (share: number) => {
      const { removable, warnings } = judge();
      removable(times(400, false));
      const removed = removable(Array.from({ length: share * 100 }, (_, i) => i % share === 0));
      return { removed, warnings };
    };
    expect(oneIn(20)).toEqual({ removed: 100, warnings: [] });
    const tripped = { topic: 'app', bad: 21, of: 400 };
    expect(oneIn(19)).toEqual({ removed: 20, warnings: [tripped] });
  });

  it('trips in a process that has known better days, and recovers with good answers', () => {
    const { removable } = judge();
    expect(removable([...times(5000, false), ...times(200, true)])).toBe(20);
    removable(times(400, false));
    expect(removable([true])).toBe(1);
  });

  it('does not let an app that is well hide the mix-up of another', () => {
    const { removable } = judge();
    let removed = 0;
    for (let i = 0; i < 100; i++) {
      removable(times(500, false), 'drivers');
      removed += removable([true], 'customers');
    }
    expect(removed).toBe(5);
    expect(removable([true], 'drivers')).toBe(1);
  });

  it('takes no push for an answer that had none', () => {
    const judgeOne = createBadTokenBreaker(silentLog);
    for (let i = 0; i < 10; i++) judgeOne('app', BAD);
    const lost: ApnsOutcome = { outcome: 'unknown', reason: 'no_answer' };
    for (let i = 0; i < 500; i++) expect(judgeOne('app', lost)).toBe(lost);
    expect(judgeOne('app', BAD)).toMatchObject({ status: 400, reason: 'mix_up' });
  });
});
