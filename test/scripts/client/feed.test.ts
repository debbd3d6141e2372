import { describe, expect, test } from 'vitest';
import { isClaimable } from '../../../engine/domain/job.ts';
import { Feed } from '../../../scripts/client/feed.ts';
import type { Job, ServerFrame } from '../../../scripts/client/protocol.ts';
import { aJob } from './gateway.ts';

function createFeed() {
  const heard: string[] = [];
  const feed = new Feed(isClaimable, {
    added: (job, by) => heard.push(`added ${job.id} v${job.version} by ${by}`),
    changed: (job) => heard.push(`changed ${job.id} v${job.version}`),
    gone: (job, reason) => heard.push(`gone ${job.id} ${reason}`),
  });
  return {
    feed,
    heard,
    held: () => [...feed.jobs.values()].map((job) => `${job.id} v${job.version}`),
  };
}

const snapshot = (...jobs: Job[]): ServerFrame => ({
  event: 'feed:snapshot',
  data: { jobs, reason: 'connect' },
});
const added = (change: Partial<Job> = {}): ServerFrame => ({
  event: 'job:new',
  data: aJob(change),
});
const status = (version: number, to: Job['status'], job_id = 'job-1'): ServerFrame => ({
  event: 'job:status',
  data: { job_id, version, status: to },
});
const removed = (version: number): ServerFrame => ({
  event: 'job:removed',
  data: { job_id: 'job-1', version, reason: 'out_of_range' },
});

describe('the feed of a client', () => {
  const cases: [string, ServerFrame[], string[]][] = [
    ['a new job is held', [added()], ['job-1 v1']],
    ['a claim removes it', [added(), status(2, 'accepted')], []],
    ['a confirmation keeps it', [added(), status(2, 'confirmed')], ['job-1 v2']],
    ['an older status is old news', [added({ version: 3 }), status(2, 'accepted')], ['job-1 v3']],
    ['a late offer of a taken job is old news', [added(), status(2, 'accepted'), added()], []],
    ['nor at the version that closed it', [status(2, 'accepted'), added({ version: 2 })], []],
    [
      'a release brings it back',
      [added(), status(2, 'accepted'), added({ version: 3 })],
      ['job-1 v3'],
    ],
    ['a removal is not for good', [added(), removed(1), added()], ['job-1 v1']],
    ['an older removal is old news', [added({ version: 2 }), removed(1)], ['job-1 v2']],
    ['a status of an unknown job adds nothing', [status(2, 'confirmed')], []],
    ['a snapshot replaces all', [added(), snapshot(aJob({ id: 'job-2' }))], ['job-2 v1']],
    ['a snapshot outranks what left', [added(), removed(5), snapshot(aJob())], ['job-1 v1']],
  ];
  test.each(cases)('%s', (_title, frames, expected) => {
    const { feed, held } = createFeed();
    for (const frame of frames) feed.apply(frame);
    expect(held()).toEqual(expected);
  });

  test('tells what came and went, once each', () => {
    const { feed, heard } = createFeed();
    const frames = [added(), added(), status(2, 'confirmed'), snapshot(aJob({ id: 'job-2' }))];
    for (const frame of frames) feed.apply(frame);
    expect(heard).toEqual([
      'added job-1 v1 by job:new',
      'changed job-1 v2',
      'gone job-1 snapshot',
      'added job-2 v1 by feed:snapshot',
    ]);
  });

  test('remembers a bounded number of jobs that left', () => {
    const { feed, held } = createFeed();
    for (let i = 0; i < 5000; i++) feed.apply(status(2, 'accepted', `job-${i}`));
    feed.apply(added({ id: 'job-4999' }));
    feed.apply(added({ id: 'job-0' }));
    expect(held()).toEqual(['job-0 v1']);
  });
});
