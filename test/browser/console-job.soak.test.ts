/** A job's page in a real browser: what happened to it, why a driver got it or not, what can be done. */

import type { Browser, Locator } from 'playwright-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../../engine/pg/drizzle.ts';
import { northOf } from '../support/engine.ts';
import { addPhones, tokenOf } from '../support/push-crowd.ts';
import { until } from '../support/until.ts';
import { launchBrowser, openTab, SKIPPED, type Tab } from './chromium.ts';
import { type Deployment, startDeployment } from './deployment.ts';

/** A busy machine's browser takes its time. */
const LIMIT_MS = 120_000;

describe.skipIf(SKIPPED)(`a job's page in Chromium${SKIPPED}`, () => {
  let t: Deployment;
  let browser: Browser;
  let tab: Tab;
  let why: Locator;
  let timeline: Locator;
  beforeAll(async () => {
    t = await startDeployment();
    browser = await launchBrowser();
    tab = await openTab(browser);
    await tab.goto(await t.link());
    why = tab.getByRole('region', { name: 'Why' });
    timeline = tab.getByRole('region', { name: 'Timeline' });
  }, LIMIT_MS);
  // Heard of just now, however long the test before took.
  beforeEach(async () => {
    await t.driver('dora', northOf(1));
    await t.driver('dave', northOf(2));
  });
  afterEach(() => {
    expect(tab.errors.splice(0)).toEqual([]);
    expect(tab.foreign).toEqual([]);
  });

  /** The page of a new job. */
  const openNew = async (address: string) => {
    const { id } = await t.post({ address });
    await tab.goto(`${t.url}/ops/jobs/${id}`);
    await tab.getByRole('heading', { name: address }).waitFor();
    return id;
  };
  const statusIs = (status: string) =>
    tab.locator('.job-head .pill', { hasText: status }).waitFor();
  const sentence = (text: string) => why.getByText(text).waitFor();

  it(
    'follows the job: taken, given back with a reason, cancelled',
    async () => {
      const id = await openNew('1 Follow St');
      await statusIs('Pending');
      await t.as('driver', 'dora')('POST', `/api/drivers/jobs/${id}/accept`);
      await statusIs('Accepted');
      await timeline.getByRole('cell', { name: 'Taken by dora' }).waitFor();
      await tab.keyboard.press('r');
      const asked = tab.getByRole('dialog', { name: 'Release this job?' });
      await asked.getByLabel('Reason').fill('Wrong truck');
      await asked.getByRole('button', { name: 'Release' }).click();
      await statusIs('Pending');
      await timeline
        .getByRole('cell', { name: 'Given back by dora' })
        .getByText('Wrong truck')
        .waitFor();
      await tab.keyboard.press('c');
      await statusIs('Confirmed');
      await tab.keyboard.press('x');
      await tab.getByRole('dialog').getByRole('button', { name: 'Keep it as it is' }).click();
      await statusIs('Confirmed');
      await tab.keyboard.press('x');
      await tab.getByRole('dialog', { name: 'Cancel this job?' }).waitFor();
      await tab.keyboard.press('Enter');
      await statusIs('Cancelled');
      expect(await tab.getByRole('group', { name: 'Actions' }).count()).toBe(0);
      await timeline.getByRole('cell', { name: 'operator:operator-1' }).first().waitFor();
      // The reason of the release is none for the cancellation.
      const reasons = await t.ctx.db.execute(sql`
        select type, reason from job_events where job_id = ${id} and type = 'job.cancelled'`);
      expect([...reasons]).toEqual([{ type: 'job.cancelled', reason: null }]);
    },
    LIMIT_MS,
  );

  it(
    'answers about one driver, by id or by name, as it was and as it is; the address says which',
    async () => {
      await t.driver('far', northOf(222));
      // Where a wave finds him is on record once Postgres has it.
      await until(async () => {
        return (await t.ctx.db.execute(sql`select from drivers where id = 'far' and lat > 0`))
          .length;
      });
      const id = await openNew('2 Why St');
      await tab.keyboard.press('e');
      await tab.keyboard.type('far');
      await tab.keyboard.press('Enter');
      await sentence('far) was 222 km away, the radius was 30 km.');
      await why.getByRole('button', { name: 'Now', exact: true }).click();
      await sentence('far) is 222 km away, the radius is 30 km.');
      await tab.waitForURL(/driver=far.*when=now|when=now.*driver=far/);
      await tab.reload();
      await sentence('far) is 222 km away, the radius is 30 km.');
      // A part of a name that several have: he is asked which one.
      await why.getByRole('searchbox').fill('driver d');
      await tab.keyboard.press('Enter');
      await why.getByRole('status').getByRole('button', { name: 'dave' }).click();
      await sentence('he sees it in the feed.');
      await why.getByRole('searchbox').fill('nobody at all');
      await tab.keyboard.press('Enter');
      await why.getByText('No driver has this id or name.').waitFor();
      await t.as('operator', 'op')('POST', `/api/jobs/${id}/cancel`, {});
      await statusIs('Cancelled');
      await why.getByText('as if it were still on offer').waitFor();
    },
    LIMIT_MS,
  );

  it(
    'shows each push with what became of it, and why a version was skipped',
    async () => {
      await addPhones(t, 'driver', ['dora', 'dave']);
      t.simulator.faults.setAnswer(tokenOf('dave'), { status: 400, reason: 'BadTopic' });
      const { id, version, status } = await t.post({ address: '3 Skip St' });
      const reason = 'a claim outlived its lease';
      await t.ctx.db.execute(sql`
      insert into job_events (job_id, type, version, status, actor, reason)
      values (${id}, 'job.fenced', ${version + 1}, ${status}, 'muster', ${reason})`);
      await tab.goto(`${t.url}/ops/jobs/${id}`);
      await timeline.getByRole('cell', { name: 'Version 2 skipped' }).getByText(reason).waitFor();
      await timeline.getByRole('table').getByText('Pushed in wave 1').click();
      await timeline
        .getByRole('table')
        .getByText('Apple refused it: 400 BadTopic')
        .first()
        .waitFor();
      await timeline.getByRole('table').getByText('Apple took it').first().waitFor();
      t.simulator.faults.clear();
      await t.as('operator', 'op')('POST', `/api/jobs/${id}/cancel`, {});
    },
    LIMIT_MS,
  );

  it(
    'says that there is no such job, and offers to try again',
    async () => {
      await tab.goto(`${t.url}/ops/jobs/none`);
      await tab.getByRole('alert').getByText('There is no such job').first().waitFor();
      await tab.getByRole('button', { name: 'Try again' }).waitFor();
      // Each of its calls is an error to the browser.
      for (const error of tab.errors.splice(0)) expect(error).toContain('404');
    },
    LIMIT_MS,
  );
});
