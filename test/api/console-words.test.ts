/** The console has words for all that the API names by codes, and says each reason with what was seen. */
import { expect, test } from 'vitest';
import { EXPLAIN_REASONS, type ExplainReason } from '../../engine/domain/because.ts';
import { DRIVER_STATES } from '../../engine/domain/fleet.ts';
import { JOB_STATUSES } from '../../engine/domain/job.ts';

type Seen = { reason: ExplainReason; value: unknown; limit: unknown };

// The browser's modules have no declarations; tsc checks them in a project of their own.
const lib = (name: string) => new URL(`../../api/ops/static/lib/${name}`, import.meta.url).href;
const { REASONS, STATES, STATUSES } = await import(lib('names.js'));
const { KNOWN_REASONS, said } = await import(lib('reasons.js'));
const of = (reason: ExplainReason, value: unknown = null, limit: unknown = null): Seen => ({
  ...{ reason, value, limit },
});

test('there are words for every status, every state and every reason, and for nothing else', () => {
  expect(Object.keys(STATUSES).sort()).toEqual([...JOB_STATUSES].sort());
  expect(Object.keys(STATES).sort()).toEqual([...DRIVER_STATES].sort());
  expect(Object.keys(REASONS).sort()).toEqual([...EXPLAIN_REASONS].sort());
  expect([...KNOWN_REASONS].sort()).toEqual([...EXPLAIN_REASONS].sort());
});

test.each<[Seen, string, string]>([
  [of('not_approved', 'pending'), 'was not approved yet', 'is not approved yet'],
  [of('not_approved', 'suspended'), 'was suspended', 'is suspended'],
  [of('is_operator', true), 'was an operator', 'is an operator'],
  [of('offline', false), 'was offline', 'is offline'],
  [of('stale', 200, 120), 'had not been heard of for 3 min 20 s', 'has not been heard of for'],
  [of('stale', 200, 120), 'the limit is 2 min 00 s', 'the limit is 2 min 00 s'],
  [of('stale', null, 120), 'had never been heard of', 'has never been heard of'],
  [of('busy', 1, 1), 'held 1 job, the limit is 1', 'holds 1 job, the limit is 1'],
  [of('declined', '2026-11-30T10:00:00.000Z'), 'had declined it at ', 'has declined it at '],
  [of('released', '2026-11-30T10:00:00.000Z'), 'it was given back at ', 'cannot have it again'],
  [of('reserved', 'd5'), 'it was reserved for d5', 'it is reserved for d5'],
  [of('truck_type', 'van', 'flatbed'), 'truck type “van”', 'the job asks for “flatbed”'],
  [of('truck_type', null, 'flatbed'), 'had no truck type', 'has no truck type'],
  [of('no_position'), 'had sent no position', 'has sent no position'],
  [of('out_of_range', 66.736, 30), 'was 67 km away, the radius was 30 km', 'is 67 km away'],
  [of('push_cap', 812, 500), '812 were in range, the nearest 500', 'but was not pushed'],
  [of('closed', 'expired'), 'on offer no more: Expired', 'on offer no more: Expired'],
  [of('closed', 'accepted'), 'on offer no more: Accepted', 'on offer no more: Accepted'],
  [of('sees_it', 'pending'), 'was offered it', 'sees it'],
])('$reason, $value against $limit', (seen, then, now) => {
  expect(said(seen, 'wave')).toContain(then);
  expect(said(seen, 'now')).toContain(now);
});
