/**
 * A deployment for a test file that replays against it, as a load tester would: through the command
 * line. Started before its tests, stopped after them.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll } from 'vitest';
import { temporaryDir } from '../../../scripts/dev/places.ts';
import { type Stack, startStack } from '../../../scripts/dev/stack.ts';
import type { Report } from '../../../scripts/replay/report.ts';
import { writeTrace } from '../../../scripts/replay/trace-file.ts';
import { type BurstOptions, makeBurst } from '../../../scripts/synth/burst.ts';
import { type Ran, type RunOptions, runScript } from './run-script.ts';

export const SECRET = 's'.repeat(32);
/** A machine that is busy with other tests is no reason for a void measurement. */
export const PATIENT = ['--max-behind', '60000'];
export const RUN_MAX_MS = 180_000;

export interface Deployment {
  readonly stack: Stack;
  readonly sql: postgres.Sql;
  /** A folder of this file's, for traces and results. */
  readonly dir: string;
  /** A small burst: a minute, 30 drivers, 2 jobs a second. */
  trace(name: string, change?: Partial<BurstOptions>): Promise<string>;
  /** Runs the command; fails where it writes no report. */
  replay(
    path: string,
    flags: readonly string[],
    options?: RunOptions & { url?: string },
  ): Promise<Ran & { report: Report }>;
  /** What of a run is left in the deployment. */
  leftovers(run: string): Promise<{ online: number; phones: number; open: number } | undefined>;
}

export function useDeployment(name: string): Deployment {
  // Postgres may run as a user who must be able to pass through.
  const dir = temporaryDir(`muster-${name}-`);
  let stack: Stack;
  let sql: postgres.Sql;
  beforeAll(async () => {
    const env = { AUTH_JWT_SECRET: SECRET, DATABASE_URL: undefined, REDIS_URL: undefined };
    const stateDir = join(dir, 'state');
    stack = await startStack({ stateDir, apis: 2, port: 0, quiet: true, env });
    sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
  });
  afterAll(async () => {
    await sql?.end();
    await stack?.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    dir,
    get stack() {
      return stack;
    },
    get sql() {
      return sql;
    },
    async trace(name, change = {}) {
      const path = join(dir, `${name}.jsonl.gz`);
      const small = { shape: 'flat', minutes: 1, drivers: 30, jobsPerS: 2 } as const;
      const where = { centre: { lat: 45.02, lng: -34.6 }, spreadKm: 8, seed: 1 };
      await writeTrace(path, makeBurst({ ...small, ...where, ...change }));
      return path;
    },
    async replay(path, flags, { url = stack.url, env, watch } = {}) {
      const json = join(dir, `${Math.random()}.json`);
      const argv = ['--trace', path, '--url', url, '--json', json, ...flags];
      const own = { AUTH_JWT_SECRET: SECRET, DATABASE_URL: stack.databaseUrl, ...env };
      const ran = await runScript('replay', argv, { env: own, ...(watch && { watch }) });
      try {
        return { ...ran, report: JSON.parse(readFileSync(json, 'utf8')) };
      } catch {
        throw new Error(
          `no report was written (exit code ${ran.code}): ${ran.stdout}${ran.stderr}`,
        );
      }
    },
    async leftovers(run) {
      const ours = `${run}-%`;
      const [found] = await sql<{ online: number; phones: number; open: number }[]>`
        select
          (select count(*)::int from drivers where id like ${ours} and online) as online,
          (select count(*)::int from device_tokens where user_id like ${ours}) as phones,
          (select count(*)::int from jobs where customer_id like ${ours}
            and status not in ('completed', 'cancelled', 'expired')) as open`;
      return found;
    },
  };
}
