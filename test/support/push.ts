/** The whole push path: an engine, the queues, a worker's lanes and the APNs simulator. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TrackedFix } from '../../engine/drivers/parts.ts';
import type { ApnsConfig, DispatchConfig } from '../../engine/process/config.ts';
import { createRegistry } from '../../engine/process/metrics.ts';
import { type Simulator, startSimulator } from '../../scripts/apns-simulator/simulator.ts';
import { createApnsRoutes } from '../../workers/push/apns-routes.ts';
import { createPushMetrics } from '../../workers/push/metrics.ts';
import { createSender, type Sender } from '../../workers/push/sender.ts';
import { startPushWorkers } from '../../workers/push/start.ts';
import { createPushQueues, type PushQueues } from '../../workers/queues.ts';
import { cleanups, silentLog, startTestEngine, type TestEngine } from './engine.ts';

export async function testSimulator(): Promise<Simulator> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-apns-'));
  const simulator = await startSimulator({ dir });
  cleanups.push(async () => {
    await simulator.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return simulator;
}

export function apnsConfig(simulator: Simulator, withKey = true): ApnsConfig {
  const key = readFileSync(simulator.keyFile, 'utf8');
  return {
    url: simulator.url,
    ca: readFileSync(simulator.caFile, 'utf8'),
    defaultEnvironment: 'sandbox',
    credentials: withKey ? { key, keyId: simulator.keyId, teamId: simulator.teamId } : undefined,
    driverTopic: 'app.muster.driver',
    customerTopic: 'app.muster.customer',
  };
}

export interface TestPush extends TestEngine {
  simulator: Simulator;
  queues: PushQueues;
  sender: Sender;
  /** Nothing is pushed before. */
  startWorker(): Promise<void>;
}

export interface TestPushOptions {
  /** Left out: the worker has a key. */
  withKey?: boolean;
  settings?: Partial<DispatchConfig>;
  onTracked?: (fixes: readonly TrackedFix[]) => void;
}

export async function startTestPush(options: TestPushOptions = {}): Promise<TestPush> {
  const simulator = await testSimulator();
  let queues: PushQueues | undefined;
  const { settings = {}, onTracked } = options;
  const heard = onTracked && ((_: number, fixes: readonly TrackedFix[]) => onTracked(fixes));
  const t = await startTestEngine(settings, Date.now, heard, (redisUrl) => {
    queues ??= createPushQueues(redisUrl, silentLog);
    return queues.tasks;
  });
  if (!queues) throw new Error('no queues');
  const own = queues;
  const registry = createRegistry();
  const sender = createSender({
    devices: t.engine.devices,
    routes: createApnsRoutes(apnsConfig(simulator, options.withKey), silentLog),
    metrics: createPushMetrics(registry, own.byLane, Date.now),
    log: silentLog,
  });
  cleanups.push(async () => {
    await sender.close();
    await own.close();
  });
  return Object.assign(t, {
    simulator,
    queues: own,
    sender,
    async startWorker() {
      const { engine, redisUrl } = t;
      const workers = startPushWorkers({ engine, redisUrl, sender });
      cleanups.push(() => workers.close());
      await workers.ready();
    },
  });
}
