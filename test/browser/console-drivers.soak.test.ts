/** The fleet, a driver's page and the search in a real browser. */
import type { Browser } from 'playwright-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HERE, northOf } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { launchBrowser, openTab, reads, SKIPPED, type Tab } from './chromium.ts';
import { type Deployment, startDeployment } from './deployment.ts';

/** A busy machine's browser takes its time. */
const LIMIT_MS = 120_000;
/** More than a page of the list. */
const FLEET = 60;

describe.skipIf(SKIPPED)(`the fleet in Chromium${SKIPPED}`, { timeout: LIMIT_MS }, () => {
  let t: Deployment;
  let browser: Browser;
  let tab: Tab;
  beforeAll(async () => {
    t = await startDeployment();
    await t.driver('dora', northOf(1));
    await t.driver('dave', northOf(2));
    for (let i = 0; i < FLEET; i++) {
      await t.engine.drivers.change(`x${String(i).padStart(2, '0')}`, { name: `Extra ${i}` });
    }
    browser = await launchBrowser();
    tab = await openTab(browser);
    await tab.goto(await t.link());
  }, LIMIT_MS);
  afterEach(() => {
    expect(tab.errors.splice(0)).toEqual([]);
    expect(tab.foreign).toEqual([]);
  });

  const table = () => tab.getByRole('table', { name: 'Drivers' });
  const rows = () => table().getByRole('row').count();

  it('lists it by states, with counts, page by page; the address holds it all', async () => {
    await tab.goto(`${t.url}/ops/drivers`);
    await tab.getByRole('button', { name: `Waiting for approval ${FLEET}` }).click();
    await tab.waitForURL('**/ops/drivers?state=pending');
    await table().getByRole('link', { name: 'Extra 0', exact: true }).waitFor();
    expect(await table().getByRole('link', { name: 'dora' }).count()).toBe(0);
    await tab.getByRole('button', { name: 'Next page' }).click();
    await table().getByRole('link', { name: 'Extra 59' }).waitFor();
    expect(await rows()).toBe(1 + FLEET - 50);
    await tab.reload();
    await table().getByRole('link', { name: 'Extra 59' }).waitFor();
    await tab.goBack();
    await table().getByRole('link', { name: 'Extra 0', exact: true }).waitFor();
  });

  it('says which filter leaves nobody, and takes it away', async () => {
    await tab.goto(`${t.url}/ops/drivers?state=suspended`);
    await tab.getByRole('searchbox', { name: 'Driver, by id or name' }).fill('nobody');
    await reads(tab, /No driver fits.*“nobody” and Suspended/s);
    await tab.getByRole('button', { name: 'Clear the filter' }).click();
    await table().getByRole('link', { name: 'dora' }).waitFor();
    expect(tab.url()).toBe(`${t.url}/ops/drivers`);
    expect(await tab.getByRole('searchbox', { name: 'Driver, by id or name' }).inputValue()).toBe(
      '',
    );
  });

  it('lists the nearest first, and is walked with j, k and Enter', async () => {
    await tab.goto(`${t.url}/ops/drivers?near=${HERE.lat},${HERE.lng}`);
    await table().getByRole('link').first().getByText('dora').waitFor();
    for (const key of ['j', 'j', 'j', 'k']) await tab.keyboard.press(key);
    await tab.keyboard.press('Enter');
    await tab.waitForURL('**/ops/drivers/dave');
  });

  it('suspends a driver and gives his job back, or leaves it with him', async () => {
    for (const [driver, gives] of [
      ['dave', true],
      ['dora', false],
    ] as const) {
      const { id } = await t.post({ address: `Held by ${driver}` });
      await t.as('driver', driver)('POST', `/api/drivers/jobs/${id}/accept`);
      await tab.goto(`${t.url}/ops/drivers/${driver}`);
      await tab.getByRole('region', { name: 'His jobs' }).getByText(`Held by ${driver}`).waitFor();
      await tab.getByRole('button', { name: 'Suspend' }).click();
      const asked = tab.getByRole('dialog', { name: `Suspend Driver ${driver}?` });
      const giveBack = asked.getByRole('checkbox', { name: 'Give back the 1 job that he holds' });
      expect(await giveBack.isChecked()).toBe(true);
      await giveBack.setChecked(gives);
      // The page reads him again while he is asked about.
      await t.engine.drivers.change(driver, { truckType: `van of ${driver}` });
      await tab.getByText(`van of ${driver}`).first().waitFor();
      await asked.getByRole('button', { name: 'Suspend' }).click();
      await tab.locator('.driver-head .pill', { hasText: 'Suspended' }).waitFor();
      await until(
        async () => (await t.engine.jobs.find(id))?.status === (gives ? 'pending' : 'accepted'),
      );
      const history = tab.getByRole('region', { name: 'History' });
      await history.getByText('Approval: approved → suspended').waitFor();
      await t.as('operator', 'op')('POST', `/api/jobs/${id}/cancel`, {});
      await tab.getByRole('button', { name: 'Approve' }).click();
      await history.getByText('Approval: suspended → approved').waitFor();
    }
  });

  it('blocks a user and lets him in again', async () => {
    await tab.goto(`${t.url}/ops/drivers/dora`);
    await tab.getByRole('button', { name: 'Block', exact: true }).click();
    await tab.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
    await tab.getByRole('button', { name: 'Unblock' }).waitFor();
    const me = () => t.as('driver', 'dora')('GET', '/api/drivers/me');
    expect(await me()).toMatchObject({ status: 403, body: { code: 'blocked' } });
    await tab.getByRole('button', { name: 'Unblock' }).click();
    await tab.getByRole('button', { name: 'Block', exact: true }).waitFor();
    expect(await me()).toMatchObject({ status: 200 });
  });

  it('shows what became of each offer, and leads to why', async () => {
    await t.driver('nina', northOf(1));
    const { id } = await t.post({ address: '1 Offer St' });
    await t.as('driver', 'nina')('POST', `/api/drivers/jobs/${id}/accept`);
    await tab.goto(`${t.url}/ops/drivers/nina`);
    const offers = tab.getByRole('region', { name: 'Last offers' });
    await offers.getByText('Taken by him').waitFor();
    await offers.getByRole('link', { name: /^Why/ }).click();
    await tab.waitForURL(`**/ops/jobs/${id}?driver=nina`);
    await tab.getByRole('region', { name: 'Why' }).getByText('he took it at').waitFor();
  });

  it('finds jobs, drivers and customers by what is typed, and says when nothing is called so', async () => {
    const { id } = await t.post({ address: '77 Search Sq', customerId: 'clara' });
    const results = tab.getByRole('region', { name: 'Search results' });
    const search = async (text: string) => {
      await tab.keyboard.press('/');
      await tab.getByRole('searchbox', { name: 'Search any id, address or name' }).fill(text);
    };
    await search(id);
    await results.getByRole('region', { name: 'Jobs' }).getByText('77 Search Sq').waitFor();
    await search('clara');
    await results
      .getByRole('region', { name: 'Jobs of customer clara' })
      .getByText('77 Search Sq')
      .waitFor();
    await search('qqq');
    await results.getByText('Nothing is called “qqq”').waitFor();
    await search('Extra 42');
    await results.getByRole('region', { name: 'Drivers' }).getByText('x42').waitFor();
    await tab.keyboard.press('Enter');
    await tab.waitForURL('**/ops/drivers/x42');
    await results.waitFor({ state: 'detached' });
  });
});
