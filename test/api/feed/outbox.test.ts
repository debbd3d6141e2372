/** What a tick sends: every connection its own frames in its own order, the same bytes shared. */
import { describe, expect, it } from 'vitest';
import { openList } from '../../../api/feed/outbox.ts';

/** Gives each of these senders its frames and returns what each would write. */
function writesOf(perSender: readonly (readonly Buffer[])[]): Promise<Buffer[]> {
  return new Promise((resolve) => {
    const writes: Buffer[] = [];
    for (const frames of perSender) {
      const sender = {
        flush: () => {
          writes.push(list.bytes());
          if (writes.length === perSender.length) resolve(writes);
        },
      };
      let list = openList(sender);
      for (const frame of frames) list = list.with(frame);
    }
  });
}

describe('the outbox', () => {
  const [a, b, own] = ['job:new a', 'job:new b', 'ack'].map((text) => Buffer.from(text)) as [
    Buffer,
    Buffer,
    Buffer,
  ];

  it('sends each its frames in order, in one piece', async () => {
    const writes = await writesOf([[a, b], [a, own, b], [b, a], [own]]);
    expect(writes.map(String)).toEqual([
      'job:new ajob:new b',
      'job:new aackjob:new b',
      'job:new bjob:new a',
      'ack',
    ]);
  });

  it('puts the same frames together once for all', async () => {
    const [first, second, single] = await writesOf([[a, b], [a, b], [a]]);
    expect(second).toBe(first);
    expect(single).toBe(a);
  });

  it('keeps nothing from one tick to the next', async () => {
    const [before] = await writesOf([[a, b]]);
    const [after] = await writesOf([[a, b]]);
    expect(after).toEqual(before);
    expect(after).not.toBe(before);
  });
});
