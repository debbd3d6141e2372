/** A Chromium without a window, driven over the DevTools protocol: only what the tests need of it. */
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { cleanups } from '../support/engine.ts';
import { until } from '../support/until.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
/** A browser's first pages take long on a busy machine. */
const PATIENCE_MS = 60_000;

/** The first Chromium on PATH, if there is one. */
export function findChromium(): string | undefined {
  const dirs = (process.env.PATH ?? '').split(path.delimiter);
  const files = NAMES.flatMap((name) => dirs.map((dir) => path.join(dir, name)));
  return files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface Page {
  /** Loads an address, as a person does who types it. */
  open(url: string): Promise<void>;
  /** The value of an expression in the page. */
  evaluate<T>(expression: string): Promise<T>;
  /** Clicks the first link or button that begins with this text, once there is one. */
  press(text: string): Promise<void>;
  /** Resolves when a person can read this; fails with what there is instead. */
  reads(text: string | RegExp): Promise<void>;
  /** Errors that the page has reported, its security policy's among them. */
  errors: string[];
}

/** Resolves with an empty page; the browser ends with the test file. */
export async function openPage(file: string): Promise<Page> {
  const profile = mkdtempSync(path.join(os.tmpdir(), 'muster-chromium-'));
  const child = spawn(
    file,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  let address: string | undefined;
  createInterface({ input: child.stderr }).on('line', (line) => {
    address ??= /^DevTools listening on (ws:\S+)/.exec(line)?.[1];
  });
  const url = await until(() => address, { timeoutMs: PATIENCE_MS, what: 'Chromium listens' });
  return attach(await connect(url));
}

interface Message {
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: { message: string };
}
type Send = (method: string, params?: object) => Promise<unknown>;

async function connect(url: string) {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  cleanups.push(() => socket.terminate());
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const events: ((message: Message) => void)[] = [];
  socket.on('message', (data) => {
    const message: Message = JSON.parse(data.toString());
    const call = waiting.get(message.id ?? 0);
    if (!call) for (const hear of events) hear(message);
    else if (message.error) call.reject(new Error(message.error.message));
    else call.resolve(message.result);
  });
  let count = 0;
  return {
    events,
    send(method: string, params: object, sessionId?: string): Promise<unknown> {
      const call = Promise.withResolvers<unknown>();
      waiting.set(++count, call);
      socket.send(JSON.stringify({ id: count, method, params, sessionId }));
      return call.promise;
    },
  };
}

async function attach({ events, send }: Awaited<ReturnType<typeof connect>>): Promise<Page> {
  const { targetId } = (await send('Target.createTarget', { url: 'about:blank' })) as {
    targetId: string;
  };
  const attached = { targetId, flatten: true };
  const { sessionId } = (await send('Target.attachToTarget', attached)) as { sessionId: string };
  const call: Send = (method, params = {}) => send(method, params, sessionId);
  const errors: string[] = [];
  events.push(({ method, params }) => {
    const entry = params?.entry as { level: string; text: string } | undefined;
    if (method === 'Log.entryAdded' && entry?.level === 'error') errors.push(entry.text);
    if (method === 'Runtime.exceptionThrown') errors.push(JSON.stringify(params));
  });
  for (const domain of ['Page', 'Runtime', 'Log']) await call(`${domain}.enable`);

  async function evaluate<T>(expression: string): Promise<T> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = (await call('Runtime.evaluate', options)) as {
      result: { value: T };
      exceptionDetails?: object;
    };
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  }

  return {
    errors,
    evaluate,
    async open(url) {
      const { errorText } = (await call('Page.navigate', { url })) as { errorText?: string };
      if (errorText) throw new Error(`${url}: ${errorText}`);
    },
    async press(text) {
      const click = `(() => {
        const all = [...document.querySelectorAll('a, button')];
        const found = all.find((one) => one.textContent.trim().startsWith(${JSON.stringify(text)}));
        found?.click();
        return found !== undefined;
      })()`;
      await until(() => evaluate<boolean>(click), {
        timeoutMs: PATIENCE_MS,
        what: `there is a "${text}" to click`,
      });
    },
    async reads(text) {
      let shown = '';
      await until(
        async () => {
          shown = await evaluate<string>('document.body?.innerText ?? ""');
          return typeof text === 'string' ? shown.includes(text) : text.test(shown);
        },
        { timeoutMs: PATIENCE_MS },
      ).catch(() => {
        throw new Error(`the page does not say ${text}, but: ${shown}`);
      });
    },
  };
}
