/**
 * `bench -- push`: pushes per second and CPU per push of our client beside the two libraries people
 * use and the bare agent, one simulator process for all, in turns.
 */
import { type BenchLine, compare } from './bench-line.ts';
import { type OwnSimulator, onOwnSimulator } from './own-simulator.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { runPushBytes } from './push-bytes.ts';
import { type PushPath, startPushPath } from './push-path.ts';
import { apns2, bareAgent, muster, nodeApn, type PushSender } from './push-senders.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { onOwnStores, type Stores } from './stack.ts';

const PUSHES = 8000;
/** Enough to keep every sender busy. */
const IN_FLIGHT = 400;
const WARM_UP = 10;
/** Rounds not counted: a worker runs for days, and at first V8 still compiles what is used most. */
const PATH_WARM_UP_ROUNDS = 4;
const TOKEN_DIGITS = 64;

interface Run {
  perSecond: number;
  cpuMicros: number;
  /** Pushes that the sender gave back as failed, although nothing was wrong with them. */
  failed: number;
}

/** Starts its own simulator and stores; nothing else is needed. */
export function runPush(): Promise<BenchLine[]> {
  return onOwnSimulator(async (simulator) => {
    const lines = await onOwnStores('push', (stores) => runAll(simulator, stores));
    const bytes = await onOwnStores('push-bytes', (stores) => runPushBytes(simulator, stores));
    return [...lines, bytes];
  });
}

async function runAll(target: OwnSimulator, stores: Stores): Promise<BenchLine[]> {
  const senders = [muster(target), nodeApn(target), apns2(target), bareAgent(target)];
  const runs = new Map<string, Run[]>(senders.map(({ name }) => [name, []]));
  /** CPU seconds of the simulator in each of our runs. */
  const simulatorCpu: number[] = [];
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    // In changing order, since garbage of one is collected in the time of the next.
    const first = round % senders.length;
    for (const sender of [...senders.slice(first), ...senders.slice(0, first)]) {
      const before = cpuSecondsOf(target.pid);
      const run = await measure(sender);
      if (round < WARM_UP_ROUNDS) continue;
      runs.get(sender.name)?.push(run);
      if (sender.name === 'muster') simulatorCpu.push(cpuSecondsOf(target.pid) - before);
    }
  }
  for (const sender of senders) await sender.close();
  const { withQueue, alone } = await runWithQueue(target, stores);
  const of = (name: string) => runs.get(name) ?? [];
  const ours = of('muster');
  const busy = simulatorCpu.map((cpu, i) => (cpu * (ours[i]?.perSecond ?? 0)) / PUSHES);
  const bottleneck =
    Math.max(...busy) > 0.8
      ? 'simulator process (one core)'
      : 'client process (one core), beside the simulator';
  const lines = ['@parse/node-apn', 'apns2'].map((peer) =>
    line(`push: client, ${peer}`, 'pushes/s', ours, of(peer), 'perSecond', bottleneck),
  );
  for (const { notes } of lines) Object.assign(notes, ceilingOf(simulatorCpu));
  lines.push(
    line(
      'push: CPU with queue and ledger, client alone',
      'µs CPU/push',
      withQueue,
      alone,
      'cpuMicros',
      'worker process',
    ),
    line(
      'push: CPU, agent.request',
      'µs CPU/push',
      ours,
      of('agent.request'),
      'cpuMicros',
      'client process',
    ),
  );
  return lines;
}

/** What the simulator could answer with its one core to itself; nothing where CPU is not counted. */
function ceilingOf(cpuSeconds: readonly number[]): { simulator_ceiling_per_s?: number } {
  const used = cpuSeconds.reduce((sum, seconds) => sum + seconds, 0);
  return used > 0
    ? { simulator_ceiling_per_s: Math.round((PUSHES * cpuSeconds.length) / used) }
    : {};
}

/** On its own: work of the stores after a wave would be counted against the next side. */
async function runWithQueue(
  target: OwnSimulator,
  stores: Stores,
): Promise<{ withQueue: Run[]; alone: Run[] }> {
  const path = await startPushPath(stores, target, PUSHES);
  const client = muster(target);
  const runs = { withQueue: [] as Run[], alone: [] as Run[] };
  for (let round = WARM_UP_ROUNDS - PATH_WARM_UP_ROUNDS; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const alone = await measure(client);
    const withQueue = await measurePath(path);
    if (round < WARM_UP_ROUNDS) continue;
    runs.alone.push(alone);
    runs.withQueue.push(withQueue);
  }
  await client.close();
  await path.close();
  return runs;
}

/** Sends `PUSHES` pushes with `IN_FLIGHT` at a time. */
async function measure(sender: PushSender): Promise<Run> {
  let next = 0;
  let failed = 0;
  // One at a time: APNs opens a connection up after its first push.
  for (let i = 0; i < WARM_UP; i++) await sender.send('0'.repeat(TOKEN_DIGITS)).catch(() => {});
  const cpu = process.cpuUsage();
  const started = performance.now();
  const lane = async () => {
    while (next < PUSHES) {
      const token = (++next).toString(16).padStart(TOKEN_DIGITS, '0');
      await sender.send(token).catch(() => failed++);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const sent = PUSHES - failed;
  return { perSecond: sent / seconds, cpuMicros: (user + system) / sent, failed };
}

/** One wave to `PUSHES` drivers, from the queue to the record. */
async function measurePath(path: PushPath): Promise<Run> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const { failed } = await path.wave();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const sent = PUSHES - failed;
  return { perSecond: sent / seconds, cpuMicros: (user + system) / sent, failed };
}

function line(
  bench: string,
  unit: string,
  ours: readonly Run[],
  peer: readonly Run[],
  what: 'perSecond' | 'cpuMicros',
  bottleneck: string,
): BenchLine {
  const of = (runs: readonly Run[]) => runs.map((run) => run[what]);
  return compare(of(ours), of(peer), {
    bench,
    unit,
    bottleneck,
    notes: {
      pushes: PUSHES,
      in_flight: IN_FLIGHT,
      failed_ours: ours.reduce((sum, run) => sum + run.failed, 0),
      failed_peer: peer.reduce((sum, run) => sum + run.failed, 0),
    },
  });
}
