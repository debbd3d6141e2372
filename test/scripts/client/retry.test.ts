import { describe, expect, test } from 'vitest';
import { createBackoff, HEALTHY_MS, jitterMs } from '../../../scripts/client/backoff.ts';
import { type Reply, untilAnswered } from '../../../scripts/client/retry.ts';

describe('backoff', () => {
  test('doubles up to 20 s, with full jitter', () => {
    const highest = [0, 1, 2, 5, 6, 50].map((attempt) => jitterMs(attempt, () => 1));
    expect(highest).toEqual([500, 1000, 2000, 16_000, 20_000, 20_000]);
    expect(jitterMs(6, () => 0)).toBe(0);
  });

  test('forgets only after a healthy connection', () => {
    const backoff = createBackoff(() => 1);
    expect([backoff.nextMs(), backoff.nextMs()]).toEqual([500, 1000]);
    backoff.lasted(HEALTHY_MS - 1);
    expect(backoff.nextMs()).toBe(2000);
    backoff.lasted(HEALTHY_MS);
    expect(backoff.nextMs()).toBe(500);
  });
});

describe('asking until there is an answer', () => {
  const answers = (...replies: (Reply | null)[]) => {
    let asked = 0;
    return async (): Promise<Reply | null> => replies[asked++] ?? null;
  };
  const tryAgain: Reply = { ok: false, code: 'try_again', data: { retry_after_ms: 1 } };
  const yes: Reply = { ok: true, code: undefined, data: {} };
  const taken: Reply = { ok: false, code: 'already_accepted', data: {} };

  test('a refusal is an answer', async () => {
    expect(await untilAnswered(answers(taken), 5000)).toMatchObject({ code: taken.code, tries: 1 });
  });

  test('silence and try_again are not', async () => {
    const reply = await untilAnswered(answers(null, tryAgain, yes), 10_000);
    expect(reply).toMatchObject({ ok: true, tries: 3 });
  });

  test('at the deadline the last word stands', async () => {
    expect(await untilAnswered(answers(tryAgain), 20)).toMatchObject({ code: 'try_again' });
    expect(await untilAnswered(answers(null), 1)).toMatchObject({ ok: false, code: 'no_answer' });
  });

  test('a later request overrules', async () => {
    const reply = await untilAnswered(answers(tryAgain, yes), 5000, () => true);
    expect(reply).toMatchObject({ ok: false, code: 'overruled' });
  });
});
