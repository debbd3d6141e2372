/** The console in a real browser, used as people do: in a hurry, by keyboard alone, with fingers. */
import type { Browser } from 'playwright-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { northOf } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { launchBrowser, openTab, SKIPPED, type Tab } from './chromium.ts';
import { type Deployment, startDeployment } from './deployment.ts';

/** A busy machine's browser takes its time. */
const LIMIT_MS = 120_000;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };
/** More than a screen of them. */
const MANY = 24;

describe.skipIf(SKIPPED)(`the console in people's hands${SKIPPED}`, { timeout: LIMIT_MS }, () => {
  let t: Deployment;
  let browser: Browser;
  let tab: Tab;
  beforeAll(async () => {
    t = await startDeployment();
    browser = await launchBrowser();
    tab = await openTab(browser);
    await tab.goto(await t.link());
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

  const openNew = async (address: string) => {
    const { id } = await t.post({ address });
    await tab.goto(`${t.url}/ops/jobs/${id}`);
    await tab.getByRole('button', { name: 'Assign', exact: true }).waitFor();
    return id;
  };
  const assigning = () => tab.getByRole('dialog', { name: 'Assign a driver' });

  it('gives a job to the driver who was typed, however soon Enter comes', async () => {
    const id = await openNew('1 Hurry St');
    await tab.keyboard.press('a');
    await tab.getByRole('button', { name: 'Assign dora' }).waitFor();
    await tab.keyboard.type('dave');
    await tab.keyboard.press('Enter');
    await until(async () => (await t.engine.jobs.find(id))?.driverId === 'dave');
    await assigning().waitFor({ state: 'detached' });
  });

  it('gives a job to nobody when Enter comes before one of several could be seen', async () => {
    const id = await openNew('2 Hurry St');
    await tab.keyboard.press('a');
    await tab.getByRole('button', { name: 'Assign dora' }).waitFor();
    await tab.route('**/api/ops/drivers?*q=Driver*', async (route) => {
      await until(async () => (await assigning().getByText('Looking for drivers').count()) > 0);
      await route.continue();
    });
    await tab.keyboard.type('Driver');
    await tab.keyboard.press('Enter');
    await tab.getByRole('button', { name: 'Assign dora' }).waitFor();
    await tab.unroute('**/api/ops/drivers?*q=Driver*');
    expect((await t.engine.jobs.find(id))?.status).toBe('pending');
    await tab.keyboard.press('ArrowDown');
    await tab.keyboard.press('ArrowDown');
    await tab.keyboard.press('Enter');
    await until(async () => (await t.engine.jobs.find(id))?.driverId === 'dave');
  });

  it('opens what was searched for, however soon Enter comes, and then takes keys', async () => {
    await openNew('3 Hurry St');
    await tab.keyboard.press('/');
    await tab.keyboard.type('dora');
    await tab.keyboard.press('Enter');
    await tab.waitForURL('**/ops/drivers/dora');
    await tab.getByRole('button', { name: 'Suspend' }).waitFor();
    await tab.keyboard.press('s');
    await tab.getByRole('dialog', { name: 'Suspend Driver dora?' }).waitFor();
    await tab.getByRole('button', { name: 'Keep it as it is' }).click();
    expect(tab.url()).toBe(`${t.url}/ops/drivers/dora`);
  });

  it('puts the focus back where it was when a dialog closes', async () => {
    await openNew('4 Hurry St');
    for (const [name, close] of [
      ['Assign', 'Close'],
      ['Cancel', 'Keep it as it is'],
      ['Keyboard help', 'Close'],
    ] as const) {
      const button = tab.getByRole('button', { name, exact: true });
      await button.click();
      await tab.getByRole('dialog').getByRole('button', { name: close }).click();
      await tab.getByRole('dialog').waitFor({ state: 'detached' });
      expect(await button.evaluate((one) => one.matches(':focus'))).toBe(true);
    }
  });

  it('shows the answer to "why" first, on a phone too, and beside whoever is asked about', async () => {
    for (let i = 0; i < MANY; i++) await t.driver(`p${i}`, northOf(40 + i));
    const { id } = await t.post({ address: '5 Hurry St' });
    const phone = await openTab(browser, PHONE);
    await phone.goto(await t.link());
    await phone.goto(`${t.url}/ops/jobs/${id}?see=why`);
    const why = phone.getByRole('region', { name: 'Why' });
    const topOf = async () => (await why.boundingBox())?.y ?? Number.NaN;
    await until(async () => Math.abs(await topOf()) < PHONE.viewport.height / 2);
    await why.getByRole('button', { name: `p${MANY - 1}`, exact: false }).click();
    const sentence = why.getByText(`${40 + MANY - 1} km away, the radius was 30 km.`);
    await sentence.waitFor();
    await until(async () => ((await sentence.boundingBox())?.y ?? -1) >= 0);
    await phone.context().close();
  });

  it('keeps the selected job in sight above its drawer on a phone', async () => {
    for (let i = 0; i < 8; i++) await t.post({ address: `${i} Long List` });
    const phone = await openTab(browser, PHONE);
    await phone.goto(await t.link());
    const rows = phone.getByRole('list', { name: 'Open jobs' }).getByRole('button');
    await rows.nth(7).waitFor();
    for (let i = 0; i < 8; i++) await phone.keyboard.press('j');
    const drawer = phone.getByRole('complementary', { name: 'Selected job' });
    await drawer.getByRole('button', { name: 'Assign', exact: true }).waitFor();
    await until(async () => {
      const row = await phone.locator('.job-row[aria-current]').boundingBox();
      const edge = (await drawer.boundingBox())?.y ?? 0;
      return row !== null && row.y > 0 && row.y + row.height <= edge + 1;
    });
    await phone.context().close();
  });

  it('keeps the map beside the list and above the drawer on a tablet', async () => {
    const { id } = await t.post({ address: '6 Hurry St' });
    const tablet = await openTab(browser, { viewport: { width: 1000, height: 700 } });
    await tablet.goto(await t.link());
    await tablet.goto(`${t.url}/ops?job=${id}`);
    const drawer = tablet.getByRole('complementary', { name: 'Selected job' });
    await drawer.getByRole('heading', { name: '6 Hurry St' }).waitFor();
    const map = await tablet.getByRole('region', { name: 'Map' }).boundingBox();
    expect(map?.width).toBe(700);
    expect(map?.height).toBeGreaterThan(200);
    const bottom = (map?.y ?? 0) + (map?.height ?? 0);
    expect((await drawer.boundingBox())?.y).toBeCloseTo(bottom, 0);
    await tablet.context().close();
  });

  it('moves and zooms the map by fingers, and the page stays as it is', async () => {
    const phone = await openTab(browser, PHONE);
    await phone.goto(await t.link());
    await phone.getByRole('button', { name: 'Map' }).click();
    const camera = () => new URL(phone.url()).searchParams.get('at') ?? '';
    const moved = async (before: string) => {
      await until(() => camera() !== before);
      const [, lng = 0, zoom = 0] = camera().split(',').map(Number);
      return { at: camera(), lng, zoom };
    };
    const first = await moved('');
    const fingers = await phone.context().newCDPSession(phone);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', xs: readonly number[]) =>
      fingers.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: xs.map((x, id) => ({ x, y: 500, id })),
      });
    await touch('touchStart', [200]);
    for (let x = 200; x >= 100; x -= 10) await touch('touchMove', [x]);
    await touch('touchEnd', []);
    const panned = await moved(first.at);
    expect(panned.lng).toBeGreaterThan(first.lng);
    expect(panned.zoom).toBe(first.zoom);
    await touch('touchStart', [180, 220]);
    for (let by = 0; by <= 80; by += 10) await touch('touchMove', [180 - by, 220 + by]);
    await touch('touchEnd', []);
    const pinched = await moved(panned.at);
    expect(pinched.zoom).toBeCloseTo(first.zoom + Math.log2(200 / 40), 1);
    expect(await phone.evaluate('visualViewport.scale')).toBe(1);
    expect(phone.errors).toEqual([]);
    await phone.context().close();
  });
});
