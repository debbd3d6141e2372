/** Every page that people open, in both themes and on a phone: for everybody, and from here alone. */
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { northOf } from '../support/engine.ts';
import { launchBrowser, openTab, reads, SKIPPED } from './chromium.ts';
import { type Deployment, startDeployment } from './deployment.ts';

const LIMIT_MS = 300_000;
const PHONE = { width: 390, height: 844 };
/** What nobody can use at all, or only with trouble. */
const GRAVE = ['serious', 'critical'];

describe.skipIf(SKIPPED)(`pages in Chromium${SKIPPED}`, { timeout: LIMIT_MS }, () => {
  let t: Deployment;
  let browser: Browser;
  const ids = { job: '', taken: '' };
  beforeAll(async () => {
    t = await startDeployment();
    for (let i = 0; i < 12; i++) await t.driver(`d${i}`, northOf(i / 3));
    ids.taken = (await t.post({ address: '1 Castle Rd' })).id;
    await t.as('driver', 'd1')('POST', `/api/drivers/jobs/${ids.taken}/accept`);
    for (let i = 2; i < 9; i++) ids.job = (await t.post({ address: `${i} Castle Rd` })).id;
    browser = await launchBrowser();
  }, LIMIT_MS);

  const pages: [name: string, path: () => string, ready: RegExp][] = [
    ['live', () => '/ops', /8 Castle Rd/],
    ['a job beside the map', () => `/ops?job=${ids.job}`, /8 Castle Rd/],
    ['an open job', () => `/ops/jobs/${ids.job}`, /Why/],
    ['a taken job', () => `/ops/jobs/${ids.taken}`, /Why/],
    ['no such job', () => '/ops/jobs/none', /no such job/],
    ['drivers', () => '/ops/drivers', /Driver d1/],
    ['a driver', () => '/ops/drivers/d1', /Driver d1/],
    ['health', () => '/ops/health', /claims fail/],
    ['queues', () => '/ops/queues', /push-nearby/],
    ['home', () => '/', /Console/],
    ['the calls', () => '/docs', /\/api\/jobs/],
    ['the feed', () => '/asyncapi', /feed:snapshot/],
    ['an error', () => '/nothing', /nothing at this address/],
  ];

  it.each(pages)('%s, dark on a laptop and light on a phone', async (name, path, ready) => {
    const tab = await openTab(browser, { colorScheme: 'dark' });
    await tab.goto(await t.link(), { waitUntil: 'commit' });
    await tab.goto(t.url + path());
    await reads(tab, ready);
    await expectForEverybody(tab);
    await tab.setViewportSize(PHONE);
    await tab.emulateMedia({ colorScheme: 'light' });
    await expectForEverybody(tab);
    expect(tab.foreign).toEqual([]);
    const expected = name === 'no such job' || name === 'an error' ? /404/ : /^$/;
    for (const error of tab.errors) expect(error).toMatch(expected);
    await tab.context().close();
  });
});

async function expectForEverybody(tab: Page): Promise<void> {
  expect(await gravesOf(tab)).toEqual([]);
  expect(await sidewaysOf(tab)).toBe(0);
}

/** The insides of Swagger UI and of the queues' dashboard are their makers' to mend. */
const OTHERS = ['#swagger-ui', 'body > #root'];

/** What is gravely wrong for some people, and where. */
async function gravesOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{ violations: axe.Result[] }>(
    `axe.run({ exclude: ${JSON.stringify(OTHERS.map((part) => [part]))} })`,
  );
  return violations
    .filter(({ impact }) => GRAVE.includes(impact ?? ''))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
}

/** By how many pixels the page is wider than its window. */
const sidewaysOf = (page: Page) =>
  page.evaluate<number>(
    'Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)',
  );
