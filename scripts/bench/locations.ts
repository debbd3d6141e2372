/**
 * `bench -- locations`: from a driver's fix to a position that searches find, at the engine's verb and
 * through sockets, beside raw `GEOADD` of 100 members a call on the same Redis.
 */
import type { Engine } from '../../engine/engine.ts';
import { connectRedis, type RedisClient, whenReady } from '../../engine/redis/client.ts';
import type { KnownDriver } from '../../engine/redis/drivers.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { Crowd } from './fanout/crowd.ts';
import { musterSide, type Side } from './fanout/sides.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { redisSeconds } from './redis-usage.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { addDrivers, HERE, onOwnStores, type Stores, startEngine } from './stack.ts';

const DRIVERS = 5000;
/** Fixes of each driver in a round. */
const FIXES = 10;
/** Groups of drivers, each reporting at its own pace. */
const GROUPS = 5;
const MEMBERS_A_CALL = 100;
const SOCKETS = 2000;
const SOCKETS_MS = 3000;
const CONNECT_MS = 5000;

interface Run {
  perSecond: number;
  /** How many fixes a second of Redis's core is enough for. */
  perRedisSecond: number;
}

interface SocketsRun {
  perSecond: number;
  p99Ms: number;
  /** Of one core. */
  gatewayCpu: number;
}

/** Starts its own Postgres and Redis; nothing else is needed. */
export function runLocations(): Promise<BenchLine[]> {
  return onOwnStores('locations', async (stores) => {
    await addDrivers(stores, DRIVERS, { online: true });
    const crowd = new Crowd();
    try {
      return await runAll(stores, crowd);
    } finally {
      crowd.stop();
    }
  });
}

async function runAll(stores: Stores, crowd: Crowd): Promise<BenchLine[]> {
  const verb = await engineVerb(stores);
  const raw = await rawGeoAdd(stores);
  const gateway = await musterSide(stores, crowd);
  await gateway.open(SOCKETS);
  const runs = { ours: [] as Run[], raw: [] as Run[], sockets: [] as SocketsRun[] };
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const ours = await verb.run();
    const peer = await raw.run();
    const sockets = await throughSockets(gateway);
    if (round < WARM_UP_ROUNDS) continue;
    runs.ours.push(ours);
    runs.raw.push(peer);
    runs.sockets.push(sockets);
  }
  await gateway.closeAll();
  await Promise.all([verb.close(), raw.close(), gateway.stop()]);
  return linesOf(runs);
}

function linesOf(runs: { ours: Run[]; raw: Run[]; sockets: SocketsRun[] }): BenchLine[] {
  const median = (of: (run: SocketsRun) => number) =>
    runs.sockets.map(of).toSorted((a, b) => a - b)[runs.sockets.length >> 1] ?? Number.NaN;
  const cpu = Math.round(median((run) => run.gatewayCpu) * 100) / 100;
  const peer = `GEOADD of ${MEMBERS_A_CALL} a call`;
  const raw = runs.raw.map((run) => run.perSecond);
  return [
    compare(
      runs.ours.map((run) => run.perRedisSecond),
      runs.raw.map((run) => run.perRedisSecond),
      {
        bench: `locations: what one Redis core takes, ${peer}`,
        unit: 'fixes/s of CPU',
        bottleneck: 'Redis (one core)',
        notes: { drivers: DRIVERS },
      },
    ),
    compare(
      runs.ours.map((run) => run.perSecond),
      raw,
      {
        bench: `locations: at the verb, ${peer}`,
        unit: 'fixes/s',
        bottleneck: 'client process (one core), beside Redis',
        notes: { drivers: DRIVERS },
      },
    ),
    compare(
      runs.sockets.map((run) => run.perSecond),
      raw,
      {
        bench: `locations: through ${SOCKETS} sockets, ${peer}`,
        unit: 'fixes/s',
        bottleneck: cpu > 0.8 ? 'gateway process (one core)' : 'client process, beside the gateway',
        notes: { gateway_cores: cpu, age_p99_ms: Math.round(median((run) => run.p99Ms)) },
      },
    ),
  ];
}

/** The drivers of an engine, as a gateway calls it for each frame. */
async function engineVerb(stores: Stores) {
  const { engine, close } = await startEngine(stores);
  const drivers: KnownDriver[] = [];
  for (let i = 0; i < DRIVERS; i++) {
    const driver = await engine.drivers.know(`d${i}`);
    if (driver) drivers.push(driver);
  }
  const groups = Array.from({ length: GROUPS }, (_, g) =>
    drivers.filter((_d, i) => i % GROUPS === g),
  );
  return {
    run: () =>
      measure(engine.ctx.redis, async () => {
        await Promise.all(groups.map((group) => sendFixes(engine, group)));
      }),
    close,
  };
}

/** A group's drivers report again as soon as what they reported last is taken: one call after the other never idles. */
async function sendFixes(engine: Engine, group: readonly KnownDriver[]): Promise<void> {
  for (let i = 0; i < FIXES; i++) {
    const fixes = group.map((driver) =>
      engine.drivers.track(driver, { ...somewhere(), at: Date.now(), heading: null }),
    );
    await Promise.all(fixes);
  }
}

/** What positions cost with nothing around them. */
async function rawGeoAdd({ redisUrl }: Stores) {
  const redis = connectRedis(redisUrl, () => {});
  await whenReady(redis, CONNECT_MS);
  return {
    run: () =>
      measure(redis, async () => {
        for (let i = 0; i < FIXES; i++) {
          const pipeline = redis.pipeline();
          for (let from = 0; from < DRIVERS; from += MEMBERS_A_CALL) {
            const members: (string | number)[] = [];
            for (let n = from; n < from + MEMBERS_A_CALL; n++) {
              const { lat, lng } = somewhere();
              members.push(lng, lat, `d${n}`);
            }
            pipeline.geoadd('raw', ...(members as [number, number, string]));
          }
          await pipeline.exec();
        }
      }),
    close: () => redis.quit(),
  };
}

async function throughSockets(gateway: Side): Promise<SocketsRun> {
  const before = cpuSecondsOf(gateway.pid);
  const { fixes, p99Ms } = await gateway.locate(SOCKETS_MS);
  const seconds = SOCKETS_MS / 1000;
  return {
    perSecond: fixes / seconds,
    p99Ms,
    gatewayCpu: (cpuSecondsOf(gateway.pid) - before) / seconds,
  };
}

async function measure(redis: RedisClient, work: () => Promise<void>): Promise<Run> {
  const [usedBefore, started] = [await redisSeconds(redis), performance.now()];
  await work();
  const seconds = (performance.now() - started) / 1000;
  const used = (await redisSeconds(redis)) - usedBefore;
  const fixes = DRIVERS * FIXES;
  return { perSecond: fixes / seconds, perRedisSecond: fixes / used };
}

/** Within a kilometre of everybody. */
function somewhere(): { lat: number; lng: number } {
  return { lat: HERE.lat + Math.random() / 100, lng: HERE.lng + Math.random() / 100 };
}
