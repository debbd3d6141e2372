/**
 * The environment of a program that runs as another user. Whoever shares that account (nobody is shared by
 * many) may read it under `/proc`, and ours may hold `AUTH_JWT_SECRET`, `APNS_KEY` or a password.
 */

/** What programs need to be found, to load their libraries and to keep temporary files. */
const NEEDED = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'LANG', 'LC_ALL', 'LD_LIBRARY_PATH'];

/** Ours, without anything that such a program does not need. */
export function bareEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    NEEDED.flatMap((name) => (name in process.env ? [[name, process.env[name]]] : [])),
  );
}
