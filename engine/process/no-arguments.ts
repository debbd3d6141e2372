/** For commands that take no flags: who types `--help` or `--dry-run` must not have it done. */
import { ConfigError } from './config.ts';

export function mustHaveNoArguments(usage: string): void {
  const [first] = process.argv.slice(2);
  if (first !== undefined) throw new ConfigError(`unknown argument '${first}', usage: ${usage}`);
}
