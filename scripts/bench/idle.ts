/**
 * `bench -- idle`: what runs while nothing happens. A gateway with idle drivers' sockets beside Socket.IO
 * with as many, and a worker of a deployment in which many zones were used beside one of a fresh one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchLine, compare } from './bench-line.ts';
import { Crowd } from './fanout/crowd.ts';
import { musterSide, peerSide, type Side } from './fanout/sides.ts';
import { runIdleZones } from './idle-zones.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { addDrivers, onOwnStores, type Stores } from './stack.ts';

const SOCKETS = 10_000;
/** Every socket is asked for a sign of life in it. */
const HEARTBEAT_MS = 25_000;

interface Idle {
  cpuPercent: number;
  kbEach: number;
}

/** Starts its own Postgres and Redis; nothing else is needed. */
export async function runIdle(): Promise<BenchLine[]> {
  const sockets = await onOwnStores('idle', async (stores) => {
    await addDrivers(stores, SOCKETS, { online: true });
    const crowd = new Crowd();
    try {
      return await runSockets(stores, crowd);
    } finally {
      crowd.stop();
    }
  });
  return [...sockets, await runIdleZones()];
}

/** Each time in processes that have just been started. */
async function runSockets(stores: Stores, crowd: Crowd): Promise<BenchLine[]> {
  const runs = { ours: [] as Idle[], peer: [] as Idle[] };
  for (let round = WARM_UP_ROUNDS; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    runs.ours.push(await idle(await musterSide(stores, crowd)));
    runs.peer.push(await idle(await peerSide('socket.io', {}, crowd)));
  }
  const of = (field: keyof Idle, bench: string, unit: string) =>
    compare(
      runs.ours.map((run) => run[field]),
      runs.peer.map((run) => run[field]),
      { bench, unit, bottleneck: 'none: the server process', notes: { sockets: SOCKETS } },
    );
  return [
    of('cpuPercent', `idle: CPU of a process with ${SOCKETS} sockets, Socket.IO`, '% of a core'),
    of('kbEach', `idle: memory of each of ${SOCKETS} sockets, Socket.IO`, 'KB'),
  ];
}

async function idle(side: Side): Promise<Idle> {
  const kbEach = (await side.memoryEach(SOCKETS)) / 1024;
  // What opening so many left to do, such as noting who was heard from, is over by then.
  await sleep(HEARTBEAT_MS);
  const [began, used] = [performance.now(), cpuSecondsOf(side.pid)];
  await sleep(HEARTBEAT_MS);
  const seconds = (performance.now() - began) / 1000;
  const cpuPercent = (100 * (cpuSecondsOf(side.pid) - used)) / seconds;
  await side.closeAll();
  await side.stop();
  return { cpuPercent, kbEach };
}
