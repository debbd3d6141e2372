/** What ends a run early: a signal, or the end of the npm that should pass it on. */

/** How soon we notice that npm, which would pass signals on, is gone. */
const PARENT_POLL_MS = 500;

/** Aborted by the first signal; further ones change nothing, since the clean-up has time limits. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Stopped());
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  // npm sends SIGTERM to the shell between us, which may die of it without telling us.
  if (process.env.npm_lifecycle_event !== undefined) {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && stop(), PARENT_POLL_MS).unref();
  }
  return controller.signal;
}

/** Somebody stopped the run. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  override readonly message = 'stopped';
}
