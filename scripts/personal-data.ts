/** What `npm run export` and `npm run erase` share: the flag that names the user. */
import { parseArgs } from 'node:util';
import { ConfigError } from '../engine/process/config.ts';
import { refuseDryRun } from '../engine/process/no-arguments.ts';
import { joinValues } from './join-values.ts';

/** The flags; `usage` is printed when some are missing or wrong. */
export function readFlags(
  names: readonly string[],
  usage: string,
): Record<string, string> & { user: string } {
  refuseDryRun(usage);
  const options = Object.fromEntries(
    ['user', ...names].map((name) => [name, { type: 'string' }] as const),
  );
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ args: joinValues(process.argv.slice(2)), options }).values;
  } catch (error) {
    throw new ConfigError(`${(error as Error).message.split('.')[0]}, usage: ${usage}`);
  }
  for (const name of Object.keys(options)) {
    if (!values[name]) throw new ConfigError(`--${name} is missing, usage: ${usage}`);
  }
  const flags = values as Record<string, string> & { user: string };
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(flags.user)) {
    throw new ConfigError(`--user must be 1 to 64 of A-Z a-z 0-9 _ -, usage: ${usage}`);
  }
  return flags;
}
