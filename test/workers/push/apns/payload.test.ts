import { describe, expect, it } from 'vitest';
import { alertPayload } from '../../../../workers/push/apns/payload.ts';

describe('alertPayload', () => {
  it('has the shape that phones expect, custom keys beside aps', () => {
    const data = { job_id: 'j', type: 'job:new', version: 1 };
    expect(JSON.parse(alertPayload({ title: 'T', body: 'B', data }))).toEqual({
      aps: {
        alert: { title: 'T', body: 'B' },
        sound: 'default',
        'interruption-level': 'time-sensitive',
      },
      ...data,
    });
  });

  it.each(['x', 'é', '日', '🚚'])('cuts a text of %s that is too long between characters', (c) => {
    const json = alertPayload({ title: 'T', body: c.repeat(5000), data: {} });
    expect(Buffer.byteLength(json)).toBeLessThanOrEqual(4096);
    expect(Buffer.byteLength(json)).toBeGreaterThan(4080);
    const { body } = JSON.parse(json).aps.alert;
    expect(body.endsWith('…')).toBe(true);
    expect(body.slice(0, -1)).toBe(c.repeat((body.length - 1) / c.length));
  });
});
