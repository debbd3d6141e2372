/** For commands that take no flags: who types `--help` or `--dry-run` must not have it done. */
import { ConfigError } from './config.ts';

export function mustHaveNoArguments(usage: string): void {
  refuseDryRun(usage);
  const [first] = process.argv.slice(2);
  if (first !== undefined) throw new ConfigError(`unknown argument '${first}', usage: ${usage}`);
}

/** Without a `--` before it npm keeps the flag for itself, and the command would do everything. */
export function refuseDryRun(usage: string): void {
  if (process.env.npm_config_dry_run !== 'true') return;
  throw new ConfigError(`unknown argument '--dry-run', usage: ${usage}`);
}
