// biome-ignore-all lint/style/noExcessiveLinesPerFile: one deployment with all that may be done to it.
/**
 * A deployment to be broken: Redis and Postgres of its own, two api and two worker processes, and an
 * APNs simulator. Whatever is killed is started again where it was, as an operator's supervisor does.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { inject } from 'vitest';
import { migrate } from '../../../engine/pg/migrate.ts';
import type { Phones } from '../../../scripts/apns-simulator/phones.ts';
import { type Simulator, startSimulator } from '../../../scripts/apns-simulator/simulator.ts';
import type { ManagedProcess } from '../../../scripts/dev/managed-process.ts';
import { logFileOf, startOwnProcess } from '../../../scripts/dev/own-process.ts';
import { freePort } from '../../../scripts/dev/ports.ts';
import { type PostgresServer, startPostgres } from '../../../scripts/dev/postgres.ts';
import { childrenOf, isStopped, signal } from '../../../scripts/dev/process-table.ts';
import type { FaultyProxy } from '../../support/proxy.ts';
import { startRedisProxy } from '../../support/redis-proxy.ts';
import type { RedisKind } from '../../support/servers.ts';
import { until } from '../../support/until.ts';
import { type CommitProxy, startCommitProxy } from './commit-proxy.ts';
import { LEASE_MS } from './plan.ts';
import { type ChaosRedis, startChaosRedis } from './redis.ts';

export const SECRET = 's'.repeat(32);
const APIS = 2;
const STOP_LIMIT_MS = 8000;
/** What a crash left behind may keep it from starting for a while. */
const START_LIMIT_MS = 60_000;
const DEATH_CHARS = 4000;
/** An api without Redis for so long cannot put what it has committed: the reconciler must. */
const UNHEARD_MS = 300;

export class Deployment {
  readonly urls: string[] = [];
  /** How each process ended that nobody ended. */
  readonly deaths: string[] = [];
  readonly proxies: CommitProxy[] = [];
  readonly #dir: string;
  readonly #kind: RedisKind;
  readonly #apis: (ManagedProcess | undefined)[] = [];
  readonly #workers: (ManagedProcess | undefined)[] = [];
  readonly #ended = new Set<ManagedProcess>();
  readonly #closers: (() => Promise<void> | void)[] = [];
  /** Processes being started again. */
  readonly #starting = new Set<Promise<void>>();
  #redis!: ChaosRedis;
  #postgres!: PostgresServer;
  #simulator!: Simulator;
  /** Between Redis and each api, and the workers. */
  readonly #redisProxies: FaultyProxy[] = [];
  #redisCut = false;
  #env: NodeJS.ProcessEnv = {};
  readonly #ports: number[] = [];
  #closing = false;

  static async start(seed: number, kind: RedisKind): Promise<Deployment> {
    const deployment = new Deployment(seed, kind);
    await deployment.#start();
    return deployment;
  }

  private constructor(seed: number, kind: RedisKind) {
    this.#kind = kind;
    this.#dir = mkdtempSync(path.join(inject('suiteDir'), `chaos-${seed}-`));
  }

  get redis(): ChaosRedis {
    return this.#redis;
  }

  get databaseUrl(): string {
    return this.#postgres.url;
  }

  /** What the phones of this deployment were sent. */
  get phones(): Phones {
    return this.#simulator.phones;
  }

  async stop(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#starting);
    await Promise.all([...this.#apis, ...this.#workers].map((one) => one?.stop(STOP_LIMIT_MS)));
    for (const close of this.#closers.reverse()) await close();
    await this.#redis.stop();
    await this.#postgres.stop();
  }

  killApi(i: number): void {
    this.#killAndRestart(this.#apis[i], () => this.#startApi(i));
  }

  killWorker(i: number): void {
    this.#killAndRestart(this.#workers[i], () => this.#startWorker(i));
  }

  /** Resolves when everything that was killed is running again. */
  async whole(): Promise<void> {
    while (this.#starting.size > 0) await Promise.all(this.#starting);
  }

  /** Resolves when both apis say that they can work. */
  async ready(): Promise<void> {
    await until(
      async () => {
        const answers = await Promise.all(this.urls.map((url) => fetch(`${url}/readyz`)));
        return answers.every(({ ok }) => ok);
      },
      { timeoutMs: 60_000, what: 'both apis are ready' },
    );
  }

  async cutRedis(ms: number): Promise<void> {
    this.#redisCut = true;
    for (const proxy of this.#redisProxies) proxy.cut();
    await sleep(ms);
    this.#redisCut = false;
    for (const proxy of this.#redisProxies) proxy.heal();
  }

  /** This api alone has no Redis for a moment. */
  cutRedisOf(api: number): void {
    const proxy = this.#redisProxies[api];
    proxy?.cut();
    setTimeout(() => {
      if (!this.#redisCut) proxy?.heal();
    }, UNHEARD_MS);
  }

  async restartPostgres(): Promise<void> {
    const { pid: postmaster } = this.#postgres;
    // One that it starts after its children were listed would wait for ever for a lock of those killed,
    // in their shared memory, over which no server starts.
    signal(postmaster, 'SIGSTOP');
    await until(() => isStopped(postmaster), { what: 'Postgres has stopped' });
    for (const pid of this.#postgresPids()) signal(pid, 'SIGKILL');
    await this.#postgres.exited;
    const { port } = this.#postgres;
    this.#postgres = await until(
      () => startPostgres({ dir: path.join(this.#dir, 'postgres'), port }),
      { timeoutMs: START_LIMIT_MS, what: 'Postgres starts again' },
    );
  }

  async freezePostgres(ms: number): Promise<void> {
    const pids = this.#postgresPids();
    for (const pid of pids) signal(pid, 'SIGSTOP');
    await sleep(ms);
    for (const pid of pids) signal(pid, 'SIGCONT');
  }

  #postgresPids(): number[] {
    return [this.#postgres.pid, ...childrenOf(this.#postgres.pid)];
  }

  async #start(): Promise<void> {
    this.#postgres = await startPostgres({ dir: path.join(this.#dir, 'postgres') });
    this.#redis = await startChaosRedis(this.#kind, path.join(this.#dir, 'redis'));
    await migrate(this.#postgres.url);
    this.#simulator = await startSimulator({ dir: path.join(this.#dir) });
    const simulator = this.#simulator;
    this.#closers.push(() => simulator.close());
    for (let i = 0; i <= APIS; i++) this.#redisProxies.push(await startRedisProxy(this.#redis));
    this.#closers.push(() => {
      for (const proxy of this.#redisProxies) proxy.close();
    });
    this.#env = {
      ...process.env,
      AUTH_JWT_SECRET: SECRET,
      LOG_LEVEL: 'warn',
      CLAIM_LEASE_MS: String(LEASE_MS),
      APNS_URL: simulator.url,
      APNS_CA_FILE: simulator.caFile,
      APNS_KEY_FILE: simulator.keyFile,
      APNS_KEY_ID: simulator.keyId,
      APNS_TEAM_ID: simulator.teamId,
    };
    for (let i = 0; i < APIS; i++) {
      const port = await freePort();
      this.#ports.push(port);
      this.urls.push(`http://127.0.0.1:${port}`);
      this.proxies.push(await startCommitProxy({ host: '127.0.0.1', port: this.#postgres.port }));
    }
    this.#closers.push(() => {
      for (const proxy of this.proxies) proxy.close();
    });
    await Promise.all([
      this.#startApi(0),
      this.#startApi(1),
      this.#startWorker(0),
      this.#startWorker(1),
    ]);
  }

  async #startApi(i: number): Promise<void> {
    const databaseUrl = new URL(this.#postgres.url);
    databaseUrl.port = String(this.proxies[i]?.port);
    const env = {
      DATABASE_URL: databaseUrl.href,
      PORT: String(this.#ports[i]),
      REDIS_URL: this.#redisProxies[i]?.url,
    };
    this.#apis[i] = await this.#run(`api-${i}`, 'api/main.ts', env, 'listening');
  }

  async #startWorker(i: number): Promise<void> {
    const env = { DATABASE_URL: this.#postgres.url, REDIS_URL: this.#redisProxies[APIS]?.url };
    this.#workers[i] = await this.#run(`worker-${i}`, 'workers/main.ts', env, 'ready');
  }

  async #run(
    name: string,
    entry: string,
    env: NodeJS.ProcessEnv,
    ready: string,
  ): Promise<ManagedProcess> {
    let own: ManagedProcess | undefined;
    await startOwnProcess(
      {
        name,
        entry,
        logDir: this.#dir,
        env: { ...this.#env, ...env },
        onSpawn: (managed) => {
          own = managed;
        },
      },
      ready,
    );
    const managed = own as unknown as ManagedProcess;
    const logFile = logFileOf({ logDir: this.#dir, name });
    void managed.exited.then((how) => {
      if (!this.#closing && !this.#ended.has(managed))
        this.deaths.push(`${name} ${how}: ${lastOf(logFile)}`);
    });
    return managed;
  }

  /** A process that does not come up because a store is away is tried again. */
  #killAndRestart(managed: ManagedProcess | undefined, start: () => Promise<void>): void {
    if (!managed || this.#ended.has(managed)) return;
    this.#ended.add(managed);
    signal(managed.pid, 'SIGKILL');
    const restarted = managed.exited
      .then(() =>
        until(() => start().then(() => true), { timeoutMs: START_LIMIT_MS, what: 'it restarts' }),
      )
      .then(() => {});
    this.#starting.add(restarted);
    void restarted.finally(() => this.#starting.delete(restarted));
  }
}

/** The end of a log: why a process died. */
function lastOf(logFile: string): string {
  return readFileSync(logFile, 'utf8').slice(-DEATH_CHARS);
}

/** A connection for looking at the truth. */
export function look(deployment: Deployment): postgres.Sql {
  return postgres(deployment.databaseUrl, { max: 2, onnotice: () => {} });
}
