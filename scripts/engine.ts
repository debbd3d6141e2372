/** An engine for a script that works on a running deployment and ends. */
import { createEngine, type Engine } from '../engine/engine.ts';
import { readConfig } from '../engine/process/config.ts';
import { createLog } from '../engine/process/log.ts';
import { createEngineMetrics, createRegistry } from '../engine/process/metrics.ts';
import { createPushQueues } from '../workers/queues.ts';

/** Runs `work` with an engine over `DATABASE_URL` and `REDIS_URL`. */
export async function withEngine(work: (engine: Engine) => Promise<void>): Promise<void> {
  const config = readConfig(process.env);
  const log = createLog('muster', 'warn');
  const queues = createPushQueues(config.redis, log);
  const engine = await createEngine({
    databaseUrl: config.databaseUrl,
    databasePoolSize: config.databasePoolSize,
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
