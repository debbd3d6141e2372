/**
 * `bench -- fanout`: deliveries per second from a change to every socket, through the real gateway
 * with its log, its filters and its sessions, beside Socket.IO 4 and beside bare `ws` with a frame that
 * is encoded once; and what an idle connection costs in memory.
 */
import { type BenchLine, compare } from '../bench-line.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from '../rounds.ts';
import { addDrivers, onOwnStores, type Stores } from '../stack.ts';
import { Crowd } from './crowd.ts';
import { musterSide, peerSide, type Side } from './sides.ts';

const SOCKETS = 2000;
const SOCKETS_MANY = 5000;
/** Events of a round, one after the other. */
const SINGLES = 20;
const BURST = 8;
const BURSTS = 5;

interface Run {
  perSecond: number;
  /** CPU time of the server process for each delivery. */
  cpuUs: number;
  p99Ms: number;
}
type Runs = readonly Run[][];

/** Starts its own Postgres and Redis; nothing else is needed. */
export function runFanout(): Promise<BenchLine[]> {
  return onOwnStores('fanout', async (stores) => {
    await addDrivers(stores, SOCKETS_MANY, { online: true });
    const crowd = new Crowd();
    try {
      return await runAll(stores, crowd);
    } finally {
      crowd.stop();
    }
  });
}

async function runAll(stores: Stores, crowd: Crowd): Promise<BenchLine[]> {
  const muster = await musterSide(stores, crowd);
  await muster.open(1);
  const { sample } = await muster.deliver(1);
  await muster.closeAll();
  const { data } = JSON.parse(sample) as { data: object };
  const socketIo = await peerSide('socket.io', data, crowd);
  const bare = await peerSide('bare', data, crowd);
  const bytes = Buffer.byteLength(sample);

  await openAll([muster, socketIo], SOCKETS);
  const single = await inTurns([muster, socketIo], 1, SINGLES, SOCKETS);
  const burst = await inTurns([muster, socketIo], BURST, BURSTS, SOCKETS);
  for (const side of [muster, socketIo]) await side.closeAll();

  await openAll([muster, bare], SOCKETS_MANY);
  const many = await inTurns([muster, bare], 1, SINGLES, SOCKETS_MANY);
  for (const side of [muster, bare]) await side.closeAll();
  for (const side of [muster, socketIo, bare]) await side.stop();

  const memory = await measureMemory(data, stores, crowd);
  return [
    ...lines(`one event, ${SOCKETS} sockets, Socket.IO`, single, bytes),
    ...lines(`${BURST} events at once, ${SOCKETS} sockets, Socket.IO`, burst, bytes),
    ...lines(`one event, ${SOCKETS_MANY} sockets, bare ws`, many, bytes),
    compare(memory.ours, memory.peer, {
      bench: `fanout: memory of an idle connection at ${SOCKETS_MANY}, Socket.IO`,
      unit: 'bytes',
      bottleneck: 'none: resident memory of the server process',
      notes: { sockets: SOCKETS_MANY },
    }),
  ];
}

async function openAll(sides: readonly Side[], listeners: number): Promise<void> {
  for (const side of sides) await side.open(listeners);
}

/** Per side its runs: `times` times `events` at once, the next when the last listener has them. */
async function inTurns(
  sides: readonly Side[],
  events: number,
  times: number,
  sockets: number,
): Promise<Run[][]> {
  const runs: Run[][] = sides.map(() => []);
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    for (const [i, side] of sides.entries()) {
      let [seconds, serverSeconds] = [0, 0];
      const p99s: number[] = [];
      for (let n = 0; n < times; n++) {
        const delivery = await side.deliver(events);
        seconds += delivery.seconds;
        serverSeconds += delivery.serverSeconds;
        p99s.push(delivery.p99Ms);
      }
      if (round < WARM_UP_ROUNDS) continue;
      const p99Ms = p99s.toSorted((a, b) => a - b)[times >> 1] ?? Number.NaN;
      const deliveries = events * times * sockets;
      const cpuUs = (serverSeconds * 1e6) / deliveries;
      runs[i]?.push({ perSecond: deliveries / seconds, cpuUs, p99Ms });
    }
  }
  return runs;
}

/** Each time in a process that has just been started. */
async function measureMemory(
  data: object,
  stores: Stores,
  crowd: Crowd,
): Promise<{ ours: number[]; peer: number[] }> {
  const memory = { ours: [] as number[], peer: [] as number[] };
  for (let round = WARM_UP_ROUNDS; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    for (const who of ['ours', 'peer'] as const) {
      const side =
        who === 'ours' ? await musterSide(stores, crowd) : await peerSide('socket.io', data, crowd);
      memory[who].push(await side.memoryEach(SOCKETS_MANY));
      await side.closeAll();
      await side.stop();
    }
  }
  return memory;
}

/** How fast, and for how much of the server's CPU. */
function lines(what: string, [ours = [], peer = []]: Runs, bytes: number): BenchLine[] {
  const p99 = (runs: readonly Run[]) =>
    Math.round(runs.map((run) => run.p99Ms).toSorted((a, b) => a - b)[runs.length >> 1] ?? 0);
  const notes = { payload_bytes: bytes, p99_ms_ours: p99(ours), p99_ms_peer: p99(peer) };
  const of = (field: 'perSecond' | 'cpuUs', bench: string, unit: string, bottleneck: string) =>
    compare(
      ours.map((run) => run[field]),
      peer.map((run) => run[field]),
      { bench, unit, bottleneck, notes },
    );
  return [
    of(
      'perSecond',
      `fanout: ${what}`,
      'deliveries/s',
      'server process (one core), beside the listeners',
    ),
    of('cpuUs', `fanout: CPU of ${what}`, 'µs/delivery', 'none: CPU time of the server process'),
  ];
}
