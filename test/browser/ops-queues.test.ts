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
    await page.reads('unauthorized');
    await page.open(`${ops.url}/ops/queues/queue/push-critical?status=failed`);
    await page.reads('unauthorized');
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
    // The board would fetch its fonts from elsewhere; our policy keeps it from telling anybody.
    expect(page.errors.filter((text) => !text.includes('fonts.googleapis.com'))).toEqual([]);

    const before = t.simulator.phones.records().length;
    await page.press('Retry all');
    await page.press('Confirm');
    await until(async () => (await failed.getState()) === 'completed', { timeoutMs: 60_000 });
    expect(t.simulator.phones.records()).toHaveLength(before);
  }, 240_000);
});
