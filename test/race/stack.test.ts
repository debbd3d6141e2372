/**
 * The race from outside: two api processes, 50 drivers, 40 jobs, taps over HTTP and over sockets at
 * once. Exactly one winner each, every loser told, and Postgres agrees.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Stack, startStack } from '../../scripts/dev/stack.ts';
import { raceOverHttp } from './support/http-race.ts';

const DRIVERS = 50;
const JOBS = 40;
const SECRET = 's'.repeat(32);
const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-race-'));
let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    stateDir: dir,
    apis: 2,
    port: 0,
    quiet: true,
    env: {
      AUTH_JWT_SECRET: SECRET,
      DATABASE_URL: undefined,
      REDIS_URL: undefined,
      LOG_LEVEL: 'warn',
    },
  });
});
afterAll(async () => {
  await stack?.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe(`${DRIVERS} drivers, ${JOBS} jobs, two api processes`, () => {
  it('has one winner per job over HTTP and sockets, and every loser hears so', async () => {
    const { urls, databaseUrl } = stack;
    await raceOverHttp({ urls, databaseUrl, secret: SECRET }, { drivers: DRIVERS, jobs: JOBS });
  });
});
