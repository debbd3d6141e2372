/**
 * Says in one line what is missing for a command: Node 24, or the dependencies. Runs before the
 * commands that install nothing, in plain JavaScript, since an older Node would only say that it
 * does not know the extension .ts.
 */
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The first that runs TypeScript without a build. */
export const RUNTIME_NODE = 24;

/** @param {string} version as in `v24.21.0` */
export function isNewEnough(version) {
  return Number.parseInt(version.replace(/^v/, ''), 10) >= RUNTIME_NODE;
}

/** @returns {string | undefined} the sentence; undefined when nothing is missing */
function whatIsMissing() {
  if (!isNewEnough(process.version)) {
    return `Node ${RUNTIME_NODE} or newer is needed, this is ${process.version}: install it, or run npm ci with the development dependencies, which bring it`;
  }
  const installed = new URL('../node_modules/.package-lock.json', import.meta.url);
  return existsSync(installed) ? undefined : 'the dependencies are not installed: run npm ci';
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const missing = whatIsMissing();
  if (missing) process.stderr.write(`muster: ${missing}\n`);
  // The exit code of the load tester's commands when they could not run (docs/load-testing.md).
  process.exitCode = missing ? 2 : 0;
}
