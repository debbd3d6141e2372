/** The live map in a real browser: what it opens on, moves to, marks, freezes, and when it rests. */
import type { Browser } from 'playwright-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HERE, northOf } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { launchBrowser, openTab, SKIPPED, type Tab } from './chromium.ts';
import { type Deployment, startDeployment } from './deployment.ts';

/** A busy machine's browser takes its time. */
const LIMIT_MS = 120_000;
/** Nothing is drawn any more when no frame was asked for in so long. */
const REST_MS = 1500;

/** Where the map looks, by the address. */
function viewOf(tab: Tab): { lat: number; lng: number; zoom: number } | null {
  const at = new URL(tab.url()).searchParams.get('at');
  if (at === null) return null;
  const [lat = Number.NaN, lng = Number.NaN, zoom = Number.NaN] = at.split(',').map(Number);
  return { lat, lng, zoom };
}

const isNear = (a: { lat: number; lng: number } | null, b: { lat: number; lng: number }) =>
  a !== null && Math.abs(a.lat - b.lat) < 0.005 && Math.abs(a.lng - b.lng) < 0.005;

describe.skipIf(SKIPPED)(`the live map in Chromium${SKIPPED}`, { timeout: LIMIT_MS }, () => {
  let t: Deployment;
  let browser: Browser;
  let tab: Tab;
  beforeAll(async () => {
    t = await startDeployment();
    await t.driver('dora', northOf(4));
    await t.driver('dave', northOf(-4));
    browser = await launchBrowser();
    tab = await openTab(browser);
    await tab.addInitScript(countFrames);
    await tab.goto(await t.link());
    await map().waitFor();
  }, LIMIT_MS);
  afterEach(() => {
    expect(tab.errors.splice(0)).toEqual([]);
  });

  const map = () => tab.getByRole('img', { name: /^Map of/ });
  const open = async (query: string) => {
    await tab.goto(`${t.url}/ops?${query}`);
    await map().waitFor();
  };
  const drive = async (id: string, at: { lat: number; lng: number }) => {
    const known = await t.engine.drivers.know(id);
    if (!known) throw new Error(`no driver ${id}`);
    await t.engine.drivers.track(known, { ...at, at: Date.now(), heading: null });
  };

  it('opens on the fleet', async () => {
    await until(() => isNear(viewOf(tab), HERE));
  });

  it('moves by arrow keys and by hand, comes nearer by key and wheel, and shows the fleet again', async () => {
    await map().focus();
    const before = viewOf(tab);
    await tab.keyboard.press('ArrowRight');
    await until(() => (viewOf(tab)?.lng ?? 0) > (before?.lng ?? 0));
    await tab.keyboard.press('+');
    await until(() => (viewOf(tab)?.zoom ?? 0) > (before?.zoom ?? 0));
    const box = await map().boundingBox();
    if (!box) throw new Error('no map');
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const dragged = viewOf(tab);
    await tab.mouse.move(x, y);
    await tab.mouse.down();
    await tab.mouse.move(x, y + 90, { steps: 5 });
    await tab.mouse.up();
    await until(() => (viewOf(tab)?.lat ?? 0) > (dragged?.lat ?? 0));
    const wheeled = viewOf(tab);
    await tab.mouse.wheel(0, -200);
    await until(() => (viewOf(tab)?.zoom ?? 0) > (wheeled?.zoom ?? 0));
    await tab.keyboard.press('0');
    await until(() => isNear(viewOf(tab), HERE));
  });

  it('selects whom one clicks, follows him, and lets go when one pans', async () => {
    const { lat, lng } = northOf(4);
    await open(`at=${lat},${lng},14`);
    await until(async () => {
      // He is in the middle as soon as his position was told.
      await map().click();
      return tab.url().includes('driver=dora');
    });
    await tab
      .getByRole('complementary', { name: 'Selected driver' })
      .getByText('Driver dora')
      .waitFor();
    await tab.keyboard.press('f');
    await drive('dora', northOf(6));
    await until(() => isNear(viewOf(tab), northOf(6)));
    expect(tab.url()).toContain('follow=1');
    await map().focus();
    await tab.keyboard.press('ArrowLeft');
    await until(() => !tab.url().includes('follow=1'));
    await tab.keyboard.press('Escape');
    await until(() => !tab.url().includes('driver='));
  });

  it('stands still while it is frozen, and catches up', async () => {
    const list = tab.getByRole('list', { name: 'Open jobs' });
    await t.post({ address: '1 Before St' });
    await list.getByText('1 Before St').waitFor();
    await map().focus();
    await tab.keyboard.press(' ');
    await tab.getByText(/^Frozen at .* stand still/).waitFor();
    await t.post({ address: '2 Meanwhile St' });
    // The header is not frozen: the news has arrived.
    await tab
      .locator('.figure', { hasText: 'Open jobs' })
      .getByText('2', { exact: true })
      .waitFor();
    expect(await list.getByText('2 Meanwhile St').count()).toBe(0);
    await tab.keyboard.press('j');
    await tab.keyboard.press('c');
    await tab.getByRole('complementary', { name: 'Selected job' }).getByText('Confirmed').waitFor();
    await tab.keyboard.press(' ');
    await list.getByText('2 Meanwhile St').waitFor();
  });

  it('filters the queue by the address, and says which filter hides what', async () => {
    await open('q=meanwhile');
    const list = tab.getByRole('list', { name: 'Open jobs' });
    await list.getByText('2 Meanwhile St').waitFor();
    expect(await list.getByRole('listitem').count()).toBe(1);
    await open('q=nowhere&status=assigned');
    await tab.getByText('Only “nowhere”, Assigned is shown.').waitFor();
    await tab.getByRole('button', { name: 'Clear the filter' }).click();
    await list.getByText('1 Before St').waitFor();
  });

  it('draws while somebody moves, and rests when nobody does', async () => {
    const frames = () => tab.evaluate<number>('globalThis.framesAskedFor');
    const rests = async () => {
      const before = await frames();
      await tab.waitForTimeout(REST_MS);
      return (await frames()) === before;
    };
    await open('');
    await until(rests, { timeoutMs: LIMIT_MS });
    const before = await frames();
    await drive('dave', northOf(-3));
    await until(async () => (await frames()) > before + 1);
    await until(rests, { timeoutMs: LIMIT_MS });
  });
});

/** Runs in the page, before anything else does. */
function countFrames(): void {
  const page = globalThis as unknown as {
    framesAskedFor: number;
    requestAnimationFrame(frame: (now: number) => void): number;
  };
  const ask = page.requestAnimationFrame.bind(page);
  page.framesAskedFor = 0;
  page.requestAnimationFrame = (frame) => {
    page.framesAskedFor += 1;
    return ask(frame);
  };
}
