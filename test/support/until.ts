/** Waits for a condition instead of for time to pass: no test depends on a machine's speed. */

const POLL_MS = 20;
const GENEROUS_MS = 45_000;

/**
 * Resolves with the first value that is neither undefined, null nor false. A condition that throws
 * is not met yet; when the time is up, what it threw last is part of the error.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { timeoutMs?: number; what?: string; pollMs?: number } = {},
): Promise<Exclude<Awaited<T>, undefined | null | false>> {
  const deadline = Date.now() + (options.timeoutMs ?? GENEROUS_MS);
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<Awaited<T>, undefined | null | false>;
      }
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`never came true: ${options.what ?? condition} (last: ${last})`);
    }
    await new Promise((resolve) => setTimeout(resolve, options.pollMs ?? POLL_MS));
  }
}
