/** What a replay finds out about a deployment, or about itself, and the exit code that says so. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startProxy } from '../../support/proxy.ts';
import { PATIENT, RUN_MAX_MS, useDeployment } from '../support/deployment.ts';
import { startMeddler } from '../support/meddler.ts';

const deployment = useDeployment('exit-codes');
/** With nothing else to do, half of the jobs are on a screen within a few milliseconds. */
const CALM_P50_MS = 40;

describe('exit codes', () => {
  test(
    '1: a deployment that names another winner than the one it told is not safe',
    async () => {
      const job = /^\/api\/jobs\/[^/?]+$/;
      const rewrite = (path: string, body: string): string =>
        job.test(path) ? body.replace(/"driver_id":"[^"]+"/, '"driver_id":"somebody"') : body;
      const liar = await startMeddler(deployment.stack.url, { rewrite });
      try {
        const { code, report, stdout } = await deployment.replay(
          await deployment.trace('short', { minutes: 0.25 }),
          ['--speed', '5', ...PATIENT],
          { url: liar.url },
        );
        expect(code).toBe(1);
        expect(report.verdict.safe.text).toMatch(/^Not safe: broken are every winner is recorded/);
        expect(stdout).toContain("was told 'yours', the API has somebody");
      } finally {
        liar.close();
      }
    },
    RUN_MAX_MS,
  );

  test(
    '3: a threshold that cannot be met any more ends the run',
    async () => {
      const { code, report } = await deployment.replay(await deployment.trace('long'), [
        ...['--speed', '1', '--threshold', 'post_to_answer.max<0.1', '--abort-on-fail', ...PATIENT],
      ]);
      expect(code).toBe(3);
      expect(report).toMatchObject({ partial: true, thresholds: [{ ok: false }] });
      expect(report.played_ms).toBeLessThan(50_000);
      expect(report.verdict.safe.ok).toBe(true);
    },
    RUN_MAX_MS,
  );

  test(
    '3: a deployment that went away broke no promise, and kept nobody waiting for ever',
    async () => {
      const proxy = await startProxy(deployment.stack.url);
      let cut = false;
      try {
        const path = await deployment.trace('gone', { minutes: 0.5, drivers: 10 });
        const { code, report, stdout } = await deployment.replay(
          path,
          ['--speed', '5', '--threshold', 'post_to_answer.p50<1000', ...PATIENT],
          {
            url: proxy.url.replace('redis:', 'http:'),
            env: { DATABASE_URL: undefined },
            watch(text) {
              if (cut || !text.includes('playing')) return;
              cut = true;
              setTimeout(() => proxy.cut(), 2000);
            },
          },
        );
        expect(code).toBe(3);
        expect(report.verdict.safe.ok).toBe(true);
        expect(stdout).toContain('not checked, the deployment did not answer at the end');
        expect(report.counts.unanswered_posts).toBeGreaterThan(20);
        expect(report.never.post_to_answer).toBe(report.counts.unanswered_posts);
        expect(report.times.post_to_answer.max).toBeGreaterThanOrEqual(30_000);
      } finally {
        proxy.close();
      }
    },
    RUN_MAX_MS,
  );

  test(
    '4: a replayer that was stopped for a while measured itself',
    async () => {
      let starved = false;
      const { code, report } = await deployment.replay(
        await deployment.trace('starved', { minutes: 0.5 }),
        ['--speed', '3'],
        {
          watch(text, child) {
            if (starved || !text.includes('playing')) return;
            starved = true;
            setTimeout(() => child.kill('SIGSTOP'), 2000);
            setTimeout(() => child.kill('SIGCONT'), 4000);
          },
        },
      );
      expect(code).toBe(4);
      expect(report.void).toBe(true);
      expect(report.replayer.behind_max_ms).toBeGreaterThan(1000);
    },
    RUN_MAX_MS,
  );

  test(
    '130: a stopped run writes what it knows, and goes home',
    async () => {
      const html = join(deployment.dir, 'stopped.html');
      const { code, report } = await deployment.replay(
        await deployment.trace('long'),
        ['--speed', '1', '--html', html],
        {
          watch: (text, child) => void (text.includes(' left ') && child.kill('SIGINT')),
        },
      );
      expect(code).toBe(130);
      expect(report).toMatchObject({ partial: true, exit_code: 130 });
      expect(report.counts.jobs).toBeGreaterThan(0);
      expect(report.counts.jobs).toBeLessThan(120);
      expect(report.verdict.safe.text).toContain('the run was stopped');
      expect(readFileSync(html, 'utf8')).toContain('Partial: the run was stopped');
      expect(await deployment.leftovers(report.run)).toEqual({ online: 0, phones: 0, open: 0 });
    },
    RUN_MAX_MS,
  );

  test(
    '130: so does one that is stopped while people are signed up',
    async () => {
      const junit = join(deployment.dir, 'early.xml');
      const { code, report, stdout } = await deployment.replay(
        await deployment.trace('crowded', { drivers: 300 }),
        ['--junit', junit],
        {
          watch: (text, child) =>
            void (text.includes('signing up') && setTimeout(() => child.kill('SIGINT'), 100)),
        },
      );
      expect(code).toBe(130);
      expect(stdout).not.toContain('playing');
      expect(report).toMatchObject({ partial: true, exit_code: 130, played_ms: 0 });
      expect(report.counts.jobs).toBe(0);
      expect(readFileSync(junit, 'utf8')).toContain('<skipped message="the run was stopped"/>');
      expect(await deployment.leftovers(report.run)).toEqual({ online: 0, phones: 0, open: 0 });
    },
    RUN_MAX_MS,
  );
});

test(
  'a target that stalls for 3 s is seen as long as it was, by as many as it was',
  async () => {
    const proxy = await startProxy(deployment.stack.url);
    let stalled = false;
    try {
      const path = await deployment.trace('stall', { minutes: 1, jobsPerS: 4, drivers: 20 });
      const url = proxy.url.replace('redis:', 'http:');
      const { report } = await deployment.replay(
        path,
        ['--speed', '4', '--people', 'greedy', ...PATIENT],
        {
          url,
          watch(text) {
            if (stalled || !text.includes('playing')) return;
            stalled = true;
            setTimeout(() => proxy.freeze(), 6000);
            setTimeout(() => proxy.heal(), 9000);
          },
        },
      );
      // Of 15 s, jobs of 3 s wait, evenly from 3 s down to none: two thirds of them more than 1 s.
      const { max, p50 } = report.times.post_to_first_socket;
      const slow = report.slower_than.find(({ ms }) => ms === 1000)?.share ?? 0;
      expect(max).toBeGreaterThan(2000);
      expect(slow).toBeGreaterThan((2 / 15) * (2 / 3));
      // On a machine that is slow by itself, others wait as well.
      const calm = p50 !== null && p50 < CALM_P50_MS;
      expect(max).toBeLessThan(calm ? 4000 : 30_000);
      expect(slow).toBeLessThan(calm ? (2 / 15) * (4 / 3) : 1);
    } finally {
      proxy.close();
    }
  },
  RUN_MAX_MS,
);
