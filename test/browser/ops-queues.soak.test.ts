/** The queues' dashboard in a real browser, as an operator sees and uses it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { addNotifications, addPhones, tokenOf } from '../support/push-crowd.ts';
import { until } from '../support/until.ts';
import { launchBrowser, openTab, reads, SKIPPED, type Tab } from './chromium.ts';
import { type Deployment, startDeployment } from './deployment.ts';

describe.skipIf(SKIPPED)(`the dashboard in Chromium${SKIPPED}`, () => {
  let t: Deployment;
  let page: Tab;
  beforeAll(async () => {
    t = await startDeployment();
    await addPhones(t, 'customer', ['carl']);
    page = await openTab(await launchBrowser());
  });

  it('is refused to who has no cookie', async () => {
    await page.goto(`${t.url}/ops/queues`);
    await reads(page, 'Sign in');
    await page.goto(`${t.url}/ops/queues/queue/push-critical?status=failed`);
    await reads(page, 'Sign in');
  }, 120_000);

  it('leads back to the console, and from a task to its job', async () => {
    await t.driver('dora');
    const job = await t.post();
    await t.queues.tasks.enqueueWave(job.id, 9);
    page.errors.length = 0;
    await page.goto(await t.link());
    await page.goto(`${t.url}/ops/queues/queue/push-nearby`);
    await reads(page, 'New Job Nearby, wave 9');
    await page.getByRole('navigation', { name: 'Pages' }).getByText('Live').waitFor();
    await page.locator(`a[href="/ops/jobs/${job.id}"]`).first().waitFor();
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
    await page.goto(await t.link());
    // The token has left the address; scripts cannot read the cookie.
    expect(await page.evaluate('location.search + document.cookie')).toBe('');
    await page.getByRole('link', { name: 'Queues' }).click();
    await reads(page, /push-critical.*push-nearby/s);
    await page.goto(`${t.url}/ops/queues/queue/push-critical?status=failed`);
    await reads(page, about);
    await reads(page, 'driver_assigned to customer carl: 400 BadMessageId');
    expect(page.errors).toEqual([]);

    const before = t.simulator.phones.records().length;
    await page.getByRole('button', { name: 'Retry all' }).click();
    await page.getByRole('button', { name: 'Confirm' }).click();
    await until(async () => (await failed.getState()) === 'completed', { timeoutMs: 60_000 });
    expect(t.simulator.phones.records()).toHaveLength(before);
  }, 240_000);

  it('says so when Redis does not answer, on an open page and on a fresh one', async () => {
    await page.goto(`${t.url}/ops/queues`);
    await reads(page, 'push-critical');
    await t.redis.stop();
    await reads(page, 'Redis does not answer');
    await page.goto(`${t.url}/ops/queues`);
    await reads(page, 'Redis does not answer');
  }, 240_000);
});
