/** An engine for a script that works on a running deployment and ends. */
import { createEngine, type Engine } from '../engine/engine.ts';
import { type Env, readConfig } from '../engine/process/config.ts';
import { checkoutStateDir } from '../engine/process/dev-secret.ts';
import { createLog } from '../engine/process/log.ts';
import { createEngineMetrics, createRegistry } from '../engine/process/metrics.ts';
import { createPushQueues } from '../workers/queues.ts';
import { findRunning } from './dev/lock.ts';

/** Above what erase and export allow a statement that reads whole tables. */
const STATEMENT_MAX_MS = 15 * 60_000;

/** Runs `work` with an engine over `DATABASE_URL` and `REDIS_URL`, by default those of the stack of this checkout. */
export async function withEngine(work: (engine: Engine) => Promise<void>): Promise<void> {
  const config = readConfig({ ...runningStores(), ...process.env });
  const log = createLog('muster', 'warn');
  const queues = createPushQueues(config.redis, log);
  const engine = await createEngine({
    databaseUrl: config.databaseUrl,
    databasePoolSize: config.databasePoolSize,
    answerMs: STATEMENT_MAX_MS,
    redisUrl: config.redis,
    settings: config.dispatch,
    push: queues.tasks,
    metrics: createEngineMetrics(createRegistry()),
    log,
  });
  try {
    await work(engine);
  } finally {
    await engine.close();
    await queues.close();
  }
}

function runningStores(): Env {
  const { databaseUrl, redisUrl } = findRunning(checkoutStateDir) ?? {};
  return {
    ...(databaseUrl && { DATABASE_URL: databaseUrl }),
    ...(redisUrl && { REDIS_URL: redisUrl }),
  };
}
