/** The queues' dashboard in a real browser, as an operator sees and uses it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { startTestPush, type TestPush } from '../support/push.ts';
import { type PushConsole, startPushConsole } from '../support/push-console.ts';
import { addNotifications, addPhones, tokenOf } from '../support/push-crowd.ts';
import { until } from '../support/until.ts';
import { findChromium, openPage, type Page } from './chromium.ts';

const chromium = findChromium();

describe.skipIf(!chromium)('the dashboard in Chromium (skipped when none is on PATH)', () => {
  let t: TestPush;
  let ops: PushConsole;
  let page: Page;
  beforeAll(async () => {
    t = await startTestPush();
    ops = await startPushConsole(t);
    await addPhones(t, 'customer', ['carl']);
    await t.startWorker();
    page = await openPage(chromium ?? '');
  });

  it('is refused to who has no cookie', async () => {
    await page.open(`${ops.url}/ops/queues`);
    await page.reads('Sign in');
    await page.open(`${ops.url}/ops/queues/queue/push-critical?status=failed`);
    await page.reads('Sign in');
  }, 120_000);

  it('leads back to the console, and from a task to its job', async () => {
    await t.driver('dora');
    const job = await t.post();
    await t.queues.tasks.enqueueWave(job.id, 9);
    page.errors.length = 0;
    await page.open(`${ops.url}/ops?token=${ops.token}`);
    await page.open(`${ops.url}/ops/queues/queue/push-nearby`);
    await page.reads('New Job Nearby, wave 9');
    const links = `[...document.querySelectorAll('a')].map((a) => a.getAttribute('href')).join()`;
    expect(await page.evaluate<string>(links)).toContain(`/ops/jobs/${job.id}`);
    expect(await page.evaluate<string>(links)).toMatch(/(^|,)\/ops(,|$)/);
    await page.open(`${ops.url}/ops/jobs/${job.id}`);
    await page.reads('job.posted');
    expect(page.errors).toEqual([]);
  }, 120_000);

  it('shows a failed task readably, and its retry button pushes nobody', async () => {
    t.simulator.faults.setAnswer(tokenOf('carl'), { status: 400, reason: 'BadMessageId' });
    const [notification = ''] = await addNotifications(t, ['carl']);
    const { critical } = t.queues.byLane;
    const about = 'Driver Assigned → customer carl';
    await t.queues.tasks.enqueueNotifications([{ id: notification, about }]);
    const failed = await until(async () => (await critical.getFailed())[0]);
    t.simulator.faults.clear();

    page.errors.length = 0;
    await page.open(`${ops.url}/ops?token=${ops.token}`);
    await page.reads('Queues');
    // The token has left the address; scripts cannot read the cookie.
    expect(await page.evaluate('location.search + document.cookie')).toBe('');
    await page.press('Queues');
    await page.reads(/push-critical.*push-nearby/s);
    await page.open(`${ops.url}/ops/queues/queue/push-critical?status=failed`);
    await page.reads(about);
    await page.reads('driver_assigned to customer carl: 400 BadMessageId');
    expect(page.errors).toEqual([]);

    const before = t.simulator.phones.records().length;
    await page.press('Retry all');
    await page.press('Confirm');
    await until(async () => (await failed.getState()) === 'completed', { timeoutMs: 60_000 });
    expect(t.simulator.phones.records()).toHaveLength(before);
  }, 240_000);

  it('says so when Redis does not answer, on an open page and on a fresh one', async () => {
    await page.open(`${ops.url}/ops/queues`);
    await page.reads('push-critical');
    await t.redis.stop();
    await page.reads('Redis does not answer');
    await page.open(`${ops.url}/ops/queues`);
    await page.reads('Redis does not answer');
  }, 240_000);
});
