/**
 * The sides of the fan-out benchmark: the real gateway in a real api process, and the peers' servers.
 * Each has a process of its own and gets its listeners from the same crowd process.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobRow } from '../../../engine/domain/job.ts';
import { uuidV7 } from '../../../engine/jobs/post.ts';
import { insertJob } from '../../../engine/pg/jobs.ts';
import { runIdOf } from '../../../engine/redis/client.ts';
import { cpuSecondsOf, residentBytesOf } from '../process-usage.ts';
import {
  endOf,
  forkPart,
  HERE,
  newJob,
  type Stores,
  startApi,
  startEngine,
  tokenFor,
} from '../stack.ts';
import type { Crowd } from './crowd.ts';
import type { Protocol } from './listener.ts';
import type { PeerOrder } from './peer-main.ts';

/** Makes a frame of 600 bytes. */
const NOTES = 'Ring twice, the dog is friendly. '.repeat(8);
/** Connections that make a fresh process load all its code before its memory is measured. */
const FIRST_CONNECTIONS = 100;
const SETTLE_MS = 3000;

export interface Delivery {
  seconds: number;
  /** CPU seconds of the server process meanwhile. */
  serverSeconds: number;
  p99Ms: number;
  /** A delivered event, as our gateway sends it. */
  sample: string;
}

export interface Side {
  protocol: Protocol;
  open(listeners: number): Promise<void>;
  closeAll(): Promise<void>;
  /** Makes this many listeners stop reading; nothing is expected of them. */
  stall(listeners: number): Promise<void>;
  /** Sends this many events at once; resolves when every listener has all of them. */
  deliver(events: number): Promise<Delivery>;
  /** Everybody sends positions for this long; only the gateway takes them. */
  locate(forMs: number): Promise<{ fixes: number; p99Ms: number }>;
  /** Resident bytes of a fresh process per idle connection, for this many, which stay open. */
  memoryEach(listeners: number): Promise<number>;
  pid: number | undefined;
  stop(): Promise<void>;
}

/** The parts that differ between sides. */
interface Server {
  child: ChildProcess;
  protocol: Protocol;
  port: number;
  /** Prepares this many events; the returned function sends them. */
  prepare(events: number): Promise<() => void>;
  /** Withdraws what was sent, so that the next connection does not get it. */
  withdraw(): Promise<void>;
  stop(): Promise<void>;
}

function sideOf(server: Server, crowd: Crowd): Side {
  const { child, protocol, port } = server;
  const name = `${protocol} ${child.pid}`;
  const open = async (listeners: number) => {
    const tokens = await tokensOf(listeners);
    await crowd.order({ order: 'open', crowd: name, port, protocol, tokens });
  };
  const closeAll = async () => {
    await crowd.order({ order: 'close', crowd: name });
    await server.withdraw();
  };
  return {
    protocol,
    pid: child.pid,
    open,
    closeAll,
    stall: (count) => crowd.order({ order: 'stall', crowd: name, count }),
    async deliver(events) {
      const send = await server.prepare(events);
      let startedAt = 0;
      const usedBefore = cpuSecondsOf(child.pid);
      const { lastAt, p99At, sample } = await crowd.delivery(name, events, () => {
        startedAt = performance.timeOrigin + performance.now();
        send();
      });
      const serverSeconds = cpuSecondsOf(child.pid) - usedBefore;
      const [seconds, p99Ms] = [(lastAt - startedAt) / 1000, p99At - startedAt];
      return { seconds, serverSeconds, p99Ms, sample };
    },
    locate: (forMs) => crowd.locate(name, forMs, HERE),
    async memoryEach(listeners) {
      await open(FIRST_CONNECTIONS);
      await closeAll();
      await sleep(SETTLE_MS);
      const before = residentBytesOf(child.pid);
      await open(listeners);
      await sleep(SETTLE_MS);
      return (residentBytesOf(child.pid) - before) / listeners;
    },
    stop: () => server.stop(),
  };
}

/**
 * The gateway. Its events are jobs that are in Postgres already: from putting one into Redis on it is
 * the way that every job takes to a driver's socket.
 */
export async function musterSide(stores: Stores, crowd: Crowd): Promise<Side> {
  const { child, url, stop } = await startApi(stores);
  const { engine, close } = await startEngine(stores);
  const { ctx } = engine;
  const sent: string[] = [];
  return sideOf(
    {
      child,
      protocol: 'muster',
      port: Number(new URL(url).port),
      async prepare(events) {
        const run = runIdOf(ctx.redis);
        const rows: JobRow[] = [];
        for (let i = 0; i < events; i++)
          rows.push(await insertJob(ctx.db, newJob(uuidV7(Date.now()), NOTES)));
        sent.push(...rows.map((row) => row.id));
        return () => void Promise.all(rows.map((row) => ctx.projection.put(row, run)));
      },
      async withdraw() {
        for (const id of sent.splice(0)) await engine.jobs.cancel(id, 'operator:bench', null);
      },
      async stop() {
        await close();
        await stop();
      },
    },
    crowd,
  );
}

/** `data`: what each of its events carries. */
export async function peerSide(
  protocol: 'socket.io' | 'bare',
  data: object,
  crowd: Crowd,
): Promise<Side> {
  const child = forkPart('fanout/peer-main.ts', [protocol]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return sideOf(
    {
      child,
      protocol,
      port,
      async prepare(events) {
        const order: PeerOrder = { data: Array.from({ length: events }, () => data) };
        return () => child.send(order);
      },
      withdraw: async () => {},
      stop: () => endOf(child),
    },
    crowd,
  );
}

const tokens: Promise<string>[] = [];
function tokensOf(count: number): Promise<string[]> {
  while (tokens.length < count) tokens.push(tokenFor('driver', `d${tokens.length}`));
  return Promise.all(tokens.slice(0, count));
}
