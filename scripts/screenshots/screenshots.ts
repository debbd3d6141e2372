/**
 * `npm run screenshots`: takes the pictures of the console that the README shows. Starts a stack in a
 * folder of its own, plays a made-up city against it, and looks at it in the machine's Chromium.
 */
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { runProcess } from '../../engine/process/main.ts';
import { mustHaveNoArguments } from '../../engine/process/no-arguments.ts';
import { launchChromium } from '../dev/chromium.ts';
import { checkout, temporaryDir } from '../dev/places.ts';
import { type Stack, startStack } from '../dev/stack.ts';
import { mintToken } from '../dev/tokens.ts';
import { ALL_GOOD } from '../replay/phones.ts';
import { printProgress } from '../replay/progress.ts';
import { runReplay } from '../replay/run.ts';
import { surveyTrace } from '../replay/trace.ts';
import { type BurstOptions, makeBurst } from '../synth/burst.ts';

const FOLDER = path.join(checkout, 'docs/images');
/**
 * An hour of a made-up evening by a coast, ten times as fast, longer than the pictures take; with slightly
 * too few drivers, so that some jobs wait.
 */
const EVENING: BurstOptions = {
  ...{ shape: 'wave', minutes: 60, drivers: 22, jobsPerS: 0.1 },
  ...{ centre: { lat: 37.77, lng: -122.43 }, spreadKm: 4, seed: 4 },
};
const SPEED = 10;
/** Then the charts have something to show. */
const PLAY_MS = 120_000;
const TAPS = 1;
/** It measures nothing, so it may be late. */
const MAX_BEHIND_MS = 600_000;
/** Generous, because the machine plays a city meanwhile. */
const PATIENCE_MS = 180_000;
/** By then the land is drawn, all positions have come and animations have ended. */
const SETTLE_MS = 4000;
const QUALITY = 0.85;
const LAPTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 780 };

interface Picture {
  name: string;
  size: typeof LAPTOP;
  theme: 'dark' | 'light';
  show(page: Page, url: string): Promise<unknown>;
}

const PICTURES: readonly Picture[] = [
  {
    ...{ name: 'live', size: LAPTOP, theme: 'dark' },
    async show(page) {
      await page.getByRole('list', { name: 'Open jobs' }).getByRole('listitem').first().waitFor();
      await page.keyboard.press('j');
    },
  },
  {
    ...{ name: 'job', size: LAPTOP, theme: 'light' },
    async show(page) {
      await page.getByRole('list', { name: 'Open jobs' }).getByRole('listitem').first().waitFor();
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      await page.getByRole('region', { name: 'Why' }).waitFor();
    },
  },
  {
    ...{ name: 'health', size: { width: 1280, height: 720 }, theme: 'dark' },
    show: (page, url) => page.goto(`${url}/ops/health`),
  },
  {
    ...{ name: 'phone', size: PHONE, theme: 'light' },
    show: (page) =>
      page.getByRole('list', { name: 'Open jobs' }).getByRole('listitem').first().waitFor(),
  },
];

await runProcess('screenshots', async () => {
  mustHaveNoArguments('npm run screenshots');
  await mkdir(FOLDER, { recursive: true });
  const stateDir = temporaryDir('muster-screenshots-');
  try {
    const stack = await startStack({ stateDir, port: 0, quiet: true });
    try {
      await takeAll(stack);
    } finally {
      await stack.stop();
    }
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
  process.exit(0);
});

async function takeAll(stack: Stack): Promise<void> {
  const stop = new AbortController();
  const played = play(stack, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  const browser = await launchChromium();
  try {
    await Promise.race([sleep(PLAY_MS), played]);
    for (const picture of PICTURES) await take(browser, stack, picture);
  } finally {
    await browser.close();
    stop.abort();
    await played;
  }
}

async function play({ urls, secret = '', databaseUrl }: Stack, signal: AbortSignal): Promise<void> {
  const source = { name: 'an evening', events: () => makeBurst(EVENING) };
  await runReplay({
    ...{ source, survey: await surveyTrace(source), urls, tokens: { secret }, databaseUrl },
    ...{ speed: SPEED, seed: EVENING.seed, taps: TAPS, arrivals: 'open', people: 'real' },
    ...{ phones: ALL_GOOD, storms: [], warmupS: 0, maxBehindMs: MAX_BEHIND_MS, thresholds: [] },
    ...{ abortOnFail: false, keep: true, command: 'screenshots', signal },
    progress: printProgress(process.stdout),
  });
}

async function take(
  browser: Browser,
  { url, secret = '' }: Stack,
  picture: Picture,
): Promise<void> {
  const { name, size, theme, show } = picture;
  const page = await browser.newPage({ viewport: size, colorScheme: theme });
  page.setDefaultTimeout(PATIENCE_MS);
  const token = await mintToken({ role: 'operator', sub: 'olga', ttlS: 3600, secret });
  await page.goto(`${url}/ops?token=${token}`);
  await show(page, url);
  await sleep(SETTLE_MS);
  await page.getByText('The feed is degraded').waitFor({ state: 'detached' });
  const file = path.join(FOLDER, `${name}.webp`);
  await writeFile(file, await toWebp(browser, await page.screenshot()));
  await page.close();
  process.stdout.write(`${file} ${Math.ceil((await stat(file)).size / 1024)} KB\n`);
}

/** A third of the size without a visible difference: the repository keeps every picture for good. */
async function toWebp(browser: Browser, png: Buffer): Promise<Buffer> {
  const page = await browser.newPage();
  const text = await page.evaluate<string>(`(async () => {
    const image = new Image();
    image.src = 'data:image/png;base64,${png.toString('base64')}';
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext('2d').drawImage(image, 0, 0);
    const blob = await canvas.convertToBlob({ type: 'image/webp', quality: ${QUALITY} });
    return (await blob.bytes()).toBase64();
  })()`);
  await page.close();
  return Buffer.from(text, 'base64');
}
