/** A worker as a process of its own, over the stores and the simulator of a test. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cleanups } from './engine.ts';
import type { TestPush } from './push.ts';

/** Resolves when it works; killed at the end of the file, if not before. */
export async function forkWorker(t: TestPush, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  const { caFile, keyFile, keyId, teamId } = t.simulator;
  const child = fork('workers/main.ts', {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: t.databaseUrl,
      REDIS_URL: t.redisUrl,
      AUTH_JWT_SECRET: 's'.repeat(32),
      APNS_URL: t.simulator.url,
      APNS_CA_FILE: caFile,
      APNS_KEY_FILE: keyFile,
      APNS_KEY_ID: keyId,
      APNS_TEAM_ID: teamId,
      ...env,
    },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  cleanups.push(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}
