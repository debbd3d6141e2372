/**
 * `npm start`: the stack of this checkout in the foreground, until a signal. Prints where it is
 * and how to try it; its state is kept under `.muster/`.
 */
import { checkoutStateDir } from '../../engine/process/dev-secret.ts';
import { runProcess } from '../../engine/process/main.ts';
import { mustHaveNoArguments } from '../../engine/process/no-arguments.ts';
import { type Stack, startStack } from './stack.ts';
import { mintToken } from './tokens.ts';

/** A working day: how long the console link is valid. */
const OPERATOR_TTL_S = 12 * 3600;
/** Ready follows within a second of listening; a Redis far away may take longer. */
const READY_LIMIT_MS = 60_000;
const READY_POLL_MS = 100;
/** How soon we notice that npm, which would pass signals on, is gone. */
const PARENT_POLL_MS = 500;

await runProcess('start', async () => {
  mustHaveNoArguments('npm start');
  // If the reader of our output goes away, go on.
  process.stdout.on('error', () => {});
  const signal = stopSignal();
  const stack = await startStack({ stateDir: checkoutStateDir, log: say, signal }).catch(
    (error: unknown) => {
      if (!signal.aborted) throw error;
      process.exit(0);
    },
  );
  const asked = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const problem = await Promise.race([stack.died, asked, runUntilAsked(stack, asked)]);
  say(problem === undefined ? 'Stopping' : `Stopping, because ${problem}`);
  await stack.stop();
  say('Stopped');
  process.exit(problem === undefined ? 0 : 1);
});

/** Resolves with a problem, or when a stop is requested. */
async function runUntilAsked(stack: Stack, asked: Promise<undefined>): Promise<string | undefined> {
  const notReady = await whyNotReady(stack.url);
  if (notReady !== undefined) return `${stack.url}/readyz does not say 200: ${notReady}`;
  await introduce(stack);
  return asked;
}

async function whyNotReady(url: string): Promise<string | undefined> {
  const deadline = Date.now() + READY_LIMIT_MS;
  let last = '';
  while (Date.now() < deadline) {
    try {
      const response = await fetch(`${url}/readyz`);
      if (response.status === 200) return undefined;
      last = await response.text();
    } catch (error) {
      last = String((error as Error).cause ?? error);
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  return last;
}

async function introduce(stack: Stack): Promise<void> {
  const { secret, url, apns, logDir } = stack;
  const console_ = secret
    ? `${url}/ops?token=${await mintToken({ role: 'operator', sub: 'operator', ttlS: OPERATOR_TTL_S, secret })}`
    : `${url}/ops (sign in with an operator's token of your identity provider)`;
  say('');
  say(`Muster    ${url}   (API reference: ${url}/docs)`);
  say(`Console   ${console_}`);
  if (secret) say('Tokens    npm run --silent token -- --role driver --sub d1');
  if (apns) say(`Pushes    ${apns.pushLog}   (APNs simulator at ${apns.url})`);
  say(`Logs      ${logDir}`);
  say('Ready. Ctrl-C stops everything.');
}

/** Aborted by the first signal; further ones change nothing, since the stop has time limits. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort(new Error('stopped'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  // npm sends SIGTERM to the shell between us, which may die of it without telling us.
  if (process.env.npm_lifecycle_event === 'start') {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && stop(), PARENT_POLL_MS).unref();
  }
  return controller.signal;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
