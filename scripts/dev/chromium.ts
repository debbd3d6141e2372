/** The machine's own Chromium, driven by playwright-core: for the console's tests, pictures and benchmark. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
/** No window, no GPU, no calls home: only requests of the page leave this machine. */
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic'],
  ...['--no-first-run', '--disable-background-networking', '--disable-component-update'],
  '--disable-sync',
];

/** `CHROMIUM_PATH`, or the first Chromium on PATH, if there is one. */
export function findChromium(): string | undefined {
  const dirs = ['/usr/bin', ...(process.env.PATH ?? '').split(path.delimiter)];
  const files = NAMES.flatMap((name) => dirs.map((dir) => path.join(dir, name)));
  return [process.env.CHROMIUM_PATH ?? '', ...files].find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A fresh browser without a profile. Throws where no Chromium is installed. */
export async function launchChromium(flags: readonly string[] = []): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    throw new Error(
      'there is no Chromium at CHROMIUM_PATH or on PATH, e.g. apt-get install chromium',
    );
  }
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}
