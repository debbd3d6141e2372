/**
 * `bench -- soak`: a worker that pushes for a long time: its memory at the end beside that after the
 * first tenth, and the connections that it needed.
 */
import { type BenchLine, compare } from './bench-line.ts';
import { type OwnSimulator, onOwnSimulator } from './own-simulator.ts';
import { startPushPath } from './push-path.ts';
import { progress, ROUNDS } from './rounds.ts';
import { onOwnStores, type Stores } from './stack.ts';

const PUSHES = 200_000;
const DRIVERS = 4000;
const WAVES = PUSHES / DRIVERS;
const MEBIBYTE = 1024 * 1024;

/** Starts its own simulator and stores; nothing else is needed. */
export function runSoak(): Promise<BenchLine[]> {
  return onOwnSimulator((simulator) => onOwnStores('soak', (stores) => run(simulator, stores)));
}

async function run(simulator: OwnSimulator, stores: Stores): Promise<BenchLine[]> {
  const path = await startPushPath(stores, simulator, DRIVERS);
  const resident: number[] = [];
  let failed = 0;
  for (let wave = 0; wave < WAVES; wave++) {
    if (wave % (WAVES / ROUNDS) === 0) progress(1 + wave / (WAVES / ROUNDS));
    failed += (await path.wave()).failed;
    resident.push(process.memoryUsage.rss() / MEBIBYTE);
  }
  const stats = (await (await fetch(`${simulator.controlUrl}/stats`)).json()) as {
    connections: { opened: number; open: number };
  };
  await path.close();
  // Five waves at either end, since a single figure depends on the garbage collector.
  const [early, late] = [resident.slice(WAVES / 10, WAVES / 10 + ROUNDS), resident.slice(-ROUNDS)];
  return [
    compare(late, early, {
      bench: `soak: memory after ${PUSHES} pushes, after the first tenth`,
      unit: 'MiB',
      bottleneck: 'none: resident memory of the worker process',
      notes: {
        failed,
        connections_opened: stats.connections.opened,
        mib_each_tenth: resident
          .filter((_, wave) => (wave + 1) % (WAVES / 10) === 0)
          .map(Math.round)
          .join(' '),
      },
    }),
  ];
}
