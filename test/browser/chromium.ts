/** The machine's Chromium for the tests, and what each of its pages must not do. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { findChromium, launchChromium } from '../../scripts/dev/chromium.ts';
import { cleanups } from '../support/engine.ts';
import { until } from '../support/until.ts';

/** A browser's first pages take long on a busy machine. */
const PATIENCE_MS = 60_000;
/** Each look at the text lays the whole page out anew. */
const LOOK_MS = 100;

/** Where there is none, the tests say why they are skipped. */
export const SKIPPED = findChromium()
  ? ''
  : ' (skipped: no Chromium at CHROMIUM_PATH or on PATH; on Debian: apt-get install chromium)';

export interface Tab extends Page {
  /** Errors that the page has reported, its security policy's among them. */
  errors: string[];
  /** Requests to any other host than that of its page. */
  foreign: string[];
}

/** Ends with the test file. */
export async function launchBrowser(): Promise<Browser> {
  const browser = await launchChromium();
  cleanups.push(() => browser.close());
  return browser;
}

/** An empty page with cookies of its own. */
export async function openTab(browser: Browser, options: BrowserContextOptions = {}): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const tab = Object.assign(page, { errors: [] as string[], foreign: [] as string[] });
  page.on('console', (said) => {
    if (said.type() === 'error') tab.errors.push(`${said.text()} ${said.location().url}`);
  });
  page.on('pageerror', (error) => tab.errors.push(String(error)));
  page.on('request', (request) => {
    const { host, protocol } = new URL(request.url());
    if (protocol !== 'data:' && host !== new URL(page.url()).host && page.url() !== 'about:blank') {
      tab.foreign.push(request.url());
    }
  });
  return tab;
}

/** Resolves when a person can read this on the page; fails with what there is instead. */
export async function reads(page: Page, text: string | RegExp): Promise<void> {
  let shown = '';
  await until(
    async () => {
      // biome-ignore lint/performance/useDomNodeTextContent: what a person sees, not what is hidden
      shown = await page.locator('body').innerText();
      return typeof text === 'string' ? shown.includes(text) : text.test(shown);
    },
    { timeoutMs: PATIENCE_MS, pollMs: LOOK_MS },
  ).catch(() => {
    throw new Error(`the page does not say ${text}, but: ${shown}`);
  });
}
