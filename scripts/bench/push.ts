/**
 * `bench -- push`: pushes per second and CPU per push of our client beside the two libraries people
 * use and the bare agent, one simulator process for all, in turns.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type BenchLine, compare } from './bench-line.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { apns2, bareAgent, muster, nodeApn, type PushSender, type Target } from './push-senders.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';

const PUSHES = 4000;
/** A worker's windows in flight. */
const IN_FLIGHT = 400;
const WARM_UP = 10;
const TOKEN_DIGITS = 64;

interface Run {
  perSecond: number;
  cpuMicros: number;
  /** Pushes that the sender gave back as failed, although nothing was wrong with them. */
  failed: number;
}

/** Starts its own simulator; nothing else is needed. */
export async function runPush(): Promise<BenchLine[]> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-bench-apns-'));
  const child = fork(path.join(import.meta.dirname, '../apns-simulator/main.ts'), ['--dir', dir], {
    silent: true,
  });
  try {
    return await runAll(await targetOf(child), child);
  } finally {
    child.kill('SIGTERM');
    rmSync(dir, { recursive: true, force: true });
  }
}

async function targetOf(child: ChildProcess): Promise<Target> {
  if (!child.stdout) throw new Error('the simulator has no output');
  const lines = createInterface({ input: child.stdout });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  lines.once('line', resolve);
  child.once('exit', (code) => reject(new Error(`the simulator ended with ${code}`)));
  const said = JSON.parse(await promise);
  return {
    url: said.url,
    ca: readFileSync(said.ca_file, 'utf8'),
    key: readFileSync(said.key_file, 'utf8'),
    keyId: said.key_id,
    teamId: said.team_id,
  };
}

async function runAll(target: Target, simulator: ChildProcess): Promise<BenchLine[]> {
  const senders = [muster(target), nodeApn(target), apns2(target), bareAgent(target)];
  const runs = new Map<string, Run[]>(senders.map(({ name }) => [name, []]));
  let busy = 0;
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    for (const sender of senders) {
      const before = cpuSecondsOf(simulator.pid);
      const run = await measure(sender);
      if (round >= WARM_UP_ROUNDS) runs.get(sender.name)?.push(run);
      if (round >= WARM_UP_ROUNDS && sender.name === 'muster') {
        busy = Math.max(busy, (cpuSecondsOf(simulator.pid) - before) / (PUSHES / run.perSecond));
      }
    }
  }
  for (const sender of senders) await sender.close();
  const of = (name: string) => runs.get(name) ?? [];
  const bottleneck =
    busy > 0.8 ? 'simulator process (one core)' : 'client process (one core), beside the simulator';
  const lines = ['@parse/node-apn', 'apns2'].map((peer) =>
    line(`push: client, ${peer}`, 'pushes/s', of('muster'), of(peer), 'perSecond', bottleneck),
  );
  lines.push(
    line(
      'push: CPU, agent.request',
      'µs CPU/push',
      of('muster'),
      of('agent.request'),
      'cpuMicros',
      'client process',
    ),
  );
  return lines;
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
