/**
 * What the drop matrix runs on: Redis, two api processes and a worker. A proxy lies between gateway
 * A and Redis and another between all others and Redis. Twenty drivers watch gateway A, while
 * others act through B. The truth is what Postgres says, seen through the rule spelled naively.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { inject } from 'vitest';
import { distanceKm } from '../../../engine/domain/distance.ts';
import type { ManagedProcess } from '../../../scripts/dev/managed-process.ts';
import { lastWords, logFileOf, startOwnProcess } from '../../../scripts/dev/own-process.ts';
import { type RedisServer, startRedis } from '../../../scripts/dev/redis.ts';
import { mintToken, type Role } from '../../../scripts/dev/tokens.ts';
import { HERE } from '../../support/engine.ts';
import { type FaultyProxy, startProxy } from '../../support/proxy.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';
import { Watcher } from './watcher.ts';

const WATCHERS = 20;
/** Who accepts jobs at B; none of them watches. */
export const TAKERS = ['t0', 't1', 't2', 't3'] as const;
const SECRET = 's'.repeat(32);
const TOKEN_TTL_S = 3600;
const STOP_LIMIT_MS = 5000;
const DEGREE_KM = 111.2;

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every kind are looked at field by field
  body: any;
}

/** A place around `HERE`, and for every fifth a truck type: the same each time. */
export function placeOf(n: number): { lat: number; lng: number; truckType: string | null } {
  const angle = n * 2.399963;
  const degrees = (4 + ((n * 7) % 20)) / DEGREE_KM;
  const lat = HERE.lat + degrees * Math.cos(angle);
  const lng = HERE.lng + degrees * Math.sin(angle);
  return { lat, lng, truckType: n % 5 === 0 ? 'flatbed' : null };
}

interface OpenJob {
  id: string;
  version: number;
  lat: number;
  lng: number;
  radius_km: number;
  truck_type: string | null;
}

export class World {
  readonly watchers: Watcher[] = [];
  /** How each process ended that nobody ended. */
  readonly deaths: string[] = [];
  readonly redisDir: string;
  redis: RedisServer;
  /** Between gateway A and Redis. */
  readonly proxyA: FaultyProxy;
  /** Between gateway B, the workers and Redis. */
  readonly proxyB: FaultyProxy;
  readonly #sql: postgres.Sql;
  readonly #databaseUrl: string;
  readonly #processes: ManagedProcess[] = [];
  readonly #tokens = new Map<string, Promise<string>>();
  #urlA = '';
  #urlB = '';
  #gatewayA: ManagedProcess | undefined;
  #killed: ManagedProcess | undefined;
  #closing = false;

  static async start(): Promise<World> {
    const databaseUrl = await freshDatabase();
    const redisDir = path.join(inject('suiteDir'), `drop-matrix-${randomUUID()}`);
    mkdirSync(redisDir, { recursive: true });
    const redis = await startRedis({ dir: redisDir });
    const [a, b] = [await startProxy(redis.url), await startProxy(redis.url)];
    const world = new World(databaseUrl, redisDir, redis, a, b);
    await world.#startProcesses();
    await world.#startWatchers();
    return world;
  }

  private constructor(
    databaseUrl: string,
    redisDir: string,
    redis: RedisServer,
    proxyA: FaultyProxy,
    proxyB: FaultyProxy,
  ) {
    this.#databaseUrl = databaseUrl;
    this.#sql = postgres(databaseUrl, { max: 2 });
    this.redisDir = redisDir;
    this.redis = redis;
    this.proxyA = proxyA;
    this.proxyB = proxyB;
  }

  async stop(): Promise<void> {
    this.#closing = true;
    for (const watcher of this.watchers) watcher.close();
    await Promise.all(this.#processes.map((one) => one.stop(STOP_LIMIT_MS)));
    for (const proxy of [this.proxyA, this.proxyB]) proxy.close();
    await this.redis.stop();
    await this.#sql.end();
  }

  /** Gateway A as a crash would end it. */
  async killGateway(): Promise<void> {
    this.#killed = this.#gatewayA;
    await this.#killed?.kill();
  }

  /** Redis again on its port, with what its dump holds. */
  async startRedis(): Promise<void> {
    this.redis = await startRedis({ dir: this.redisDir, port: this.redis.port });
  }

  removeDump(): void {
    rmSync(path.join(this.redisDir, 'dump.rdb'), { force: true });
  }

  /** Calls gateway B. */
  async call(role: Role, sub: string, method: string, at: string, body?: object): Promise<Answer> {
    const response = await fetch(this.#urlB + at, {
      method,
      headers: {
        authorization: `Bearer ${await this.#token(role, sub)}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  }

  /** Driver → the jobs that he should see, each with its version. */
  async truth(): Promise<Map<string, number>[]> {
    const open = await this.#sql<OpenJob[]>`
      select id, version, lat, lng, radius_km, truck_type from jobs
      where status in ('pending', 'confirmed')`;
    return this.watchers.map((_, n) => {
      const driver = placeOf(n);
      const sees = open.filter(
        (job) =>
          (job.truck_type === null || job.truck_type === driver.truckType) &&
          distanceKm(driver, job) <= job.radius_km,
      );
      return new Map(sees.map(({ id, version }) => [id, version]));
    });
  }

  /** Does every client hold exactly the truth? */
  async isExact(): Promise<boolean> {
    const truth = await this.truth();
    return this.watchers.every((watcher, n) => same(watcher.held(), truth[n]));
  }

  /** Is the truth also what `GET /api/drivers/jobs/available` of gateway B says? */
  async listsAreExact(): Promise<boolean> {
    const [truth, answers] = await Promise.all([
      this.truth(),
      Promise.all(
        this.watchers.map(({ id }) =>
          this.call('driver', id, 'GET', '/api/drivers/jobs/available'),
        ),
      ),
    ]);
    return answers.every(({ status, body }, n) => {
      if (status !== 200) return false;
      const jobs = body.jobs as { id: string; version: number }[];
      return same(new Map(jobs.map(({ id, version }) => [id, version])), truth[n]);
    });
  }

  async #startProcesses(): Promise<void> {
    const start = <T>(name: string, entry: string, redisUrl: string, ready: string) =>
      startOwnProcess<T>(
        {
          name,
          entry,
          logDir: this.redisDir,
          env: {
            ...process.env,
            DATABASE_URL: this.#databaseUrl,
            REDIS_URL: redisUrl,
            AUTH_JWT_SECRET: SECRET,
            LOG_LEVEL: 'warn',
            // One customer posts for all.
            CUSTOMER_MAX_OPEN_JOBS: '0',
            PORT: '0',
          },
          onSpawn: (managed) => {
            this.#processes.push(managed);
            void managed.exited.then((how) => {
              const asked = this.#closing || this.#killed === managed;
              if (asked) return;
              const said = lastWords(logFileOf({ logDir: this.redisDir, name }));
              this.deaths.push(`${name} ${how}: ${said}`);
            });
          },
        },
        ready,
      );
    const a = await start<{ url: string }>(
      'gateway-a',
      'api/main.ts',
      this.proxyA.url,
      'listening',
    );
    this.#gatewayA = this.#processes.at(-1);
    const [b] = await Promise.all([
      start<{ url: string }>('gateway-b', 'api/main.ts', this.proxyB.url, 'listening'),
      start('workers', 'workers/main.ts', this.proxyB.url, 'ready'),
    ]);
    [this.#urlA, this.#urlB] = [a.url, b.url];
  }

  async #startWatchers(): Promise<void> {
    const approved = { name: 'Ann', approval_status: 'approved' };
    for (const id of TAKERS)
      await this.call('operator', 'op', 'PUT', `/api/drivers/${id}`, approved);
    for (let n = 0; n < WATCHERS; n++) {
      const id = `d${n}`;
      const { truckType, ...position } = placeOf(n);
      const profile = { ...approved, truck_type: truckType };
      await this.call('operator', 'op', 'PUT', `/api/drivers/${id}`, profile);
      const urls = [this.#urlA, this.#urlB];
      const watcher = new Watcher(id, await this.#token('driver', id), urls);
      this.watchers.push(watcher);
      await until(() => watcher.heard('feed:snapshot', 0)[0], { what: `${id} has a snapshot` });
      await watcher.ask('availability', { online: true });
      await watcher.ask('location', position);
    }
  }

  #token(role: Role, sub: string): Promise<string> {
    const kept = this.#tokens.get(sub);
    const token = kept ?? mintToken({ role, sub, ttlS: TOKEN_TTL_S, secret: SECRET });
    this.#tokens.set(sub, token);
    return token;
  }
}

function same(a: Map<string, number>, b: Map<string, number> | undefined): boolean {
  return a.size === b?.size && [...a].every(([id, version]) => b.get(id) === version);
}
