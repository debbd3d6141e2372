/** What `npm run export` and `npm run erase` share: whose data, and an engine to ask. */
import { parseArgs } from 'node:util';
import { createEngine, type Engine } from '../engine/engine.ts';
import { ConfigError, readConfig } from '../engine/process/config.ts';
import { createLog } from '../engine/process/log.ts';
import { createEngineMetrics, createRegistry } from '../engine/process/metrics.ts';
import { createPushQueues } from '../workers/queues.ts';

/** The flags; `usage` is what is said of those that are missing or wrong. */
export function readFlags(
  names: readonly string[],
  usage: string,
): Record<string, string> & { user: string } {
  const options = Object.fromEntries(
    ['user', ...names].map((name) => [name, { type: 'string' }] as const),
  );
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ options }).values;
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

/** Runs `work` with an engine over `DATABASE_URL` and `REDIS_URL`. */
export async function withEngine(work: (engine: Engine) => Promise<void>): Promise<void> {
  const config = readConfig(process.env);
  const log = createLog('muster', 'warn');
  const queues = createPushQueues(config.redisUrl, log);
  const engine = await createEngine({
    databaseUrl: config.databaseUrl,
    redisUrl: config.redisUrl,
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
