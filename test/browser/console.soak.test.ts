/** The console in a real browser, over a whole deployment: what operators see and do. */
import type { Browser } from 'playwright-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { mint } from '../api/support.ts';
import { HERE, northOf } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { launchBrowser, openTab, reads, SKIPPED, type Tab } from './chromium.ts';
import { type Deployment, startDeployment } from './deployment.ts';

/** A busy machine's browser takes its time. */
const LIMIT_MS = 120_000;

describe.skipIf(SKIPPED)(`the console in Chromium${SKIPPED}`, { timeout: LIMIT_MS }, () => {
  let t: Deployment;
  let browser: Browser;
  let tab: Tab;
  beforeAll(async () => {
    t = await startDeployment();
    await t.driver('dora', northOf(1));
    await t.driver('dave', northOf(2));
    browser = await launchBrowser();
    tab = await openTab(browser);
    await tab.goto(await t.link());
  }, LIMIT_MS);
  afterEach(() => {
    expect(tab.errors.splice(0)).toEqual([]);
    expect(tab.foreign).toEqual([]);
  });

  const openJobs = () => tab.getByRole('list', { name: 'Open jobs' });
  const post = async (address: string) => (await t.post({ address })).id;
  const statusOf = async (id: string) => (await t.engine.jobs.find(id))?.status;
  const showLive = () => tab.goto(`${t.url}/ops`);

  it('lets an operator in by the link, and keeps no token in the address', async () => {
    await reads(tab, 'No open jobs');
    expect(tab.url()).not.toContain('token');
    expect(await tab.evaluate('document.cookie')).toBe('');
  });

  it('shows a job while it is open', async () => {
    const id = await post('7 Castle Rd');
    await openJobs().getByText('7 Castle Rd').waitFor();
    await until(async () => {
      const { status } = await t.as('driver', 'dora')('POST', `/api/drivers/jobs/${id}/accept`);
      return status === 200;
    });
    await openJobs().getByText('7 Castle Rd').waitFor({ state: 'detached' });
  });

  it('shows a driver on the map, and finds him and a job by what people call them', async () => {
    const id = await post('9 Harbour St');
    await tab.keyboard.press('/');
    await tab.keyboard.type('harbour');
    await tab.getByRole('region', { name: 'Search results' }).getByText('9 Harbour St').click();
    await tab.waitForURL(`**/ops/jobs/${id}`);
    await tab.keyboard.press('/');
    await tab.keyboard.type('Driver dora');
    await tab.getByRole('region', { name: 'Search results' }).getByText('dora').first().click();
    await tab.waitForURL('**/ops/drivers/dora');
    await reads(tab, 'Driver dora');
    await t.as('operator', 'op')('POST', `/api/jobs/${id}/cancel`, {});
  });

  it('approves a driver who waits for it', async () => {
    await t.as('driver', 'nora')('PUT', '/api/drivers/me', { name: 'Nora' });
    await tab.goto(`${t.url}/ops/drivers?state=pending`);
    await tab.getByRole('link', { name: 'Nora' }).click();
    await tab.getByRole('button', { name: 'Approve' }).click();
    await until(async () => (await t.engine.ops.driver('nora'))?.driver.state === 'offline');
    await tab.getByRole('button', { name: 'Suspend' }).waitFor();
    await reads(tab, 'operator:operator-1');
  });

  it('says why each driver got a job or not, and gives it to one of them', async () => {
    await t.driver('far', { lat: HERE.lat + 2, lng: HERE.lng });
    const id = await post('3 Hill St');
    await tab.goto(`${t.url}/ops/jobs/${id}`);
    await tab.getByRole('region', { name: 'Timeline' }).waitFor();
    const why = tab.getByRole('region', { name: 'Why' });
    await why.getByText('Out of range').first().waitFor();
    await why.getByText('Driver dave').first().waitFor();
    await tab.getByRole('button', { name: 'Assign', exact: true }).click();
    await tab.getByRole('button', { name: 'Assign dave' }).click();
    await until(async () => (await statusOf(id)) === 'assigned');
    await reads(tab, 'Assigned');
    await t.as('operator', 'op')('POST', `/api/jobs/${id}/cancel`, {});
  });

  it('says beside the action why it was refused', async () => {
    const id = await post('4 Hill St');
    await tab.goto(`${t.url}/ops/jobs/${id}`);
    const dispatch = tab.getByRole('button', { name: 'Dispatch again' });
    await dispatch.waitFor();
    await tab.route('**/dispatch', async (route) => {
      await t.as('operator', 'op')('POST', `/api/jobs/${id}/cancel`, {});
      await route.continue();
    });
    await dispatch.click();
    await tab.getByRole('alert').getByText('The job was cancelled').waitFor();
    await tab.unroute('**/dispatch');
    // A refusal is an error to the browser, and to nobody else.
    expect(tab.errors.splice(0).join()).toContain('409');
  });

  it('is used without a mouse, two keystrokes from a job to its driver', async () => {
    const id = await post('5 Mill Lane');
    await showLive();
    await openJobs().getByText('5 Mill Lane').waitFor();
    await tab.keyboard.press('j');
    await tab.waitForURL(`**/ops?*job=${id}*`);
    await tab.keyboard.press('Enter');
    await tab.waitForURL(`**/ops/jobs/${id}`);
    await tab.getByRole('button', { name: 'Assign', exact: true }).waitFor();
    await tab.keyboard.press('a');
    await tab.getByRole('button', { name: 'Assign dora' }).waitFor();
    await tab.keyboard.type('dora');
    await tab.keyboard.press('Enter');
    await until(async () => (await statusOf(id)) === 'assigned');
    await tab.getByRole('dialog', { name: 'Assign a driver' }).waitFor({ state: 'detached' });
    await tab.keyboard.press('?');
    await tab.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await tab.keyboard.press('Escape');
    await t.as('operator', 'op')('POST', `/api/jobs/${id}/cancel`, {});
  });

  it('shows a viewer everything and no action', async () => {
    const id = await post('6 Mill Lane');
    const viewer = await openTab(browser);
    await viewer.goto(await t.link('viewer'));
    for (const path of [`/jobs/${id}`, '/drivers/dora']) {
      await viewer.goto(`${t.url}/ops${path}`);
      await reads(viewer, /6 Mill Lane|Driver dora/);
      await viewer.getByRole('region', { name: /Timeline|History/ }).waitFor();
      expect(await viewer.getByRole('group', { name: 'Actions' }).count()).toBe(0);
    }
    expect(viewer.errors).toEqual([]);
    await viewer.context().close();
    await t.as('operator', 'op')('POST', `/api/jobs/${id}/cancel`, {});
  });

  it('says how to get in again when the cookie has run out', async () => {
    const late = await openTab(browser);
    await late.goto(await t.link());
    await late.getByRole('navigation', { name: 'Pages' }).waitFor();
    const gone = await mint({ sub: 'operator-1', role: 'operator', exp: 1 });
    const place = { domain: new URL(t.url).hostname, path: '/ops' };
    await late.context().addCookies([{ name: 'muster_ops', value: gone, ...place }]);
    await reads(late, 'The link that you came with is no longer good');
    await late.goto(`${t.url}/ops/drivers`);
    await reads(late, 'Sign in');
    await late.getByLabel('Token').fill((await t.link()).split('token=')[1] ?? '');
    await late.getByRole('button', { name: 'Sign in' }).click();
    await late.getByRole('navigation', { name: 'Pages' }).waitFor();
    await late.context().close();
  });

  it('says what is wrong and that it shows what was, while Redis is silent, and is exact again afterwards', async () => {
    await showLive();
    await reads(tab, 'Ready');
    t.redis.freeze();
    try {
      await tab.getByRole('status').getByText('The feed is degraded').waitFor();
      await tab.getByRole('link', { name: 'What is wrong?' }).click();
      await tab.getByRole('alert').getByText('See to Redis').waitFor();
    } finally {
      t.redis.thaw();
    }
    await tab.getByText('The feed is degraded').waitFor({ state: 'detached' });
    await reads(tab, /No alarm rings|alarms are quiet/);
    await showLive();
    await post('8 Mill Lane');
    await openJobs().getByText('8 Mill Lane').waitFor();
    // What was asked meanwhile may have been refused.
    for (const error of tab.errors.splice(0)) expect(error).toContain('503');
  });
});
