import type { IncomingHttpHeaders } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { readAnswer } from '../../../../workers/push/apns/messages.ts';

const answer = (headers: object, body = '{"reason":"TooManyRequests"}', cut = false) =>
  readAnswer({ ':status': '429', ...headers } as IncomingHttpHeaders, body, cut);

describe('readAnswer', () => {
  it('reads a delay in seconds or as a date', () => {
    expect(answer({})).toEqual({ outcome: 'rejected', status: 429, reason: 'TooManyRequests' });
    expect(answer({ 'retry-after': '7' })).toMatchObject({ retryAfterMs: 7000 });
    const date = new Date(Date.now() + 60_000).toUTCString();
    const { retryAfterMs } = answer({ 'retry-after': date }) as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(30_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
    // By its own clock, which may be far off this host's.
    const [asked, until] = [0, 9].map((second) => new Date(Date.UTC(2020, 0, 1, 0, 0, second)));
    expect(
      answer({ date: asked?.toUTCString(), 'retry-after': until?.toUTCString() }),
    ).toMatchObject({ retryAfterMs: 9000 });
    for (const said of ['soon', '-5', new Date(0).toUTCString()]) {
      expect(answer({ 'retry-after': said })).not.toHaveProperty('retryAfterMs');
    }
  });

  it('reads the id that the sandbox gives, and is content with anything else', () => {
    const taken = (id: unknown) => answer({ ':status': '200', 'apns-unique-id': id }, '');
    const uniqueId = 'a0b1c2d3-0000-4000-8000-000000000000';
    expect(taken(uniqueId)).toEqual({ outcome: 'sent', uniqueId });
    for (const odd of [undefined, '', 'x'.repeat(101), ['a', 'b']]) {
      expect(taken(odd)).toEqual({ outcome: 'sent' });
    }
  });

  it('says that the reason was lost with the connection, unless it had come', () => {
    expect(answer({}, '{"rea', true)).toMatchObject({ reason: 'answer_cut' });
    expect(answer({}, '', true)).toMatchObject({ reason: 'answer_cut' });
    expect(answer({}, '{"reason":"TooManyRequests"}', true)).toMatchObject({
      reason: 'TooManyRequests',
    });
    expect(answer({}, '<html>', false)).toMatchObject({ reason: 'other' });
  });

  it('reads the clock of Apple where a token was refused', () => {
    const date = 'Sat, 01 Jan 2028 00:00:00 GMT';
    expect(answer({ ':status': '403', date })).toMatchObject({ apnsTime: Date.UTC(2028, 0, 1) });
    expect(answer({ date })).not.toHaveProperty('apnsTime');
  });
});
