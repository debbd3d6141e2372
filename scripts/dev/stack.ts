/**
 * The whole deployment on one machine: Redis and Postgres where none are configured, migrations,
 * api and worker processes, an APNs simulator. It stops what it started, in reverse order, even when a
 * start fails halfway. Called by `npm start`, by the demo and by tests.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Env } from '../../engine/process/config.ts';
import { acquireLock } from './lock.ts';
import type { ManagedProcess } from './managed-process.ts';
import { migrateOrSayWhy } from './migration.ts';
import {
  lastWords,
  logFileOf,
  type OwnProcessOptions,
  startAndReadLine,
  startOwnProcess,
} from './own-process.ts';
import { type Log, logToStderr } from './places.ts';
import { urlHost } from './ports.ts';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';
import { planStack, type StackPlan } from './stack-environment.ts';
import { keptPassword, makeStateDir } from './state-dir.ts';

export interface StackOptions {
  /** Holds data, logs and the secret; one stack at a time. */
  stateDir: string;
  /** Overrides `process.env`; undefined removes a variable. */
  env?: Env;
  apis?: number;
  workers?: number;
  /** The port of the first api; the others take free ones. By default `PORT`, else 8080. */
  port?: number;
  host?: string;
  log?: Log;
  /** No progress; a download is still announced. */
  quiet?: boolean;
  /** Cancels the start; what was started is stopped. */
  signal?: AbortSignal;
}

export interface Stack {
  url: string;
  urls: string[];
  /** The environment of the processes. */
  env: Env;
  /** Signs tokens; undefined when an identity provider does. */
  secret: string | undefined;
  apns: { url: string; controlUrl: string; pushLog: string } | undefined;
  databaseUrl: string;
  redisUrl: string;
  logDir: string;
  /** Resolves with a sentence when a process ends that was not stopped. */
  died: Promise<string>;
  stop(): Promise<void>;
}

interface SimulatorLine {
  url: string;
  control_url: string;
  ca_file: string;
  key_file: string;
  key_id: string;
  team_id: string;
  push_log: string;
}

/** With Redis (2 s) and Postgres (4 s) less than the 20 s after which supervisors kill. */
const API_STOP_LIMIT_MS = 7000;
const WORKER_STOP_LIMIT_MS = 5000;
const SIMULATOR_STOP_LIMIT_MS = 1000;

/** Resolves when every process is ready. Throws one sentence, and leaves nothing running. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const starter = new StackStarter(options);
  try {
    return await starter.start();
  } catch (error) {
    await starter.stop();
    throw error;
  }
}

class StackStarter {
  readonly #options: StackOptions;
  readonly #log: Log;
  readonly #progress: Log;
  readonly #logDir: string;
  readonly #died = Promise.withResolvers<string>();
  /** How to undo the start, in the order of creation. */
  readonly #closers: (() => Promise<void> | void)[] = [];
  #stopped: Promise<void> | undefined;
  readonly #processes = new Map<string, ManagedProcess>();

  constructor(options: StackOptions) {
    this.#options = options;
    this.#log = options.log ?? logToStderr;
    this.#progress = options.quiet ? () => {} : this.#log;
    this.#logDir = path.join(options.stateDir, 'logs');
  }

  async start(): Promise<Stack> {
    const { stateDir, signal } = this.#options;
    makeStateDir(stateDir);
    mkdirSync(this.#logDir, { recursive: true });
    const lock = acquireLock(stateDir);
    this.#closers.push(() => lock.release());
    const plan = await planStack(this.#environment(), stateDir);
    for (const warning of plan.config.warnings) this.#progress(warning);
    const servers = await this.#startServers(plan);
    signal?.throwIfAborted();
    this.#progress('Migrating the database');
    await migrateOrSayWhy(servers.DATABASE_URL, this.#log, signal);
    const simulator = plan.simulateApns ? await this.#startSimulator(plan) : undefined;
    const env = { ...plan.env, ...servers, ...(simulator ? apnsVariables(simulator) : {}) };
    const urls = await this.#startProcesses(env, plan);
    const [databaseUrl, redisUrl] = [servers.DATABASE_URL, servers.REDIS_URL];
    const url = urls[0] as string;
    lock.publish({ url, databaseUrl, redisUrl });
    return {
      url,
      urls,
      env,
      secret: plan.config.auth.secret,
      apns: simulator && {
        url: simulator.url,
        controlUrl: simulator.control_url,
        pushLog: simulator.push_log,
      },
      databaseUrl,
      redisUrl,
      logDir: this.#logDir,
      died: this.#died.promise,
      stop: () => this.stop(),
    };
  }

  /** Newest first, so that no process loses what it still needs. Safe to call again. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      for (const close of this.#closers.reverse()) await close();
    })();
    return this.#stopped;
  }

  #environment(): Env {
    const { env, host, port } = this.#options;
    return {
      ...process.env,
      ...env,
      ...(host === undefined ? {} : { HOST: host }),
      ...(port === undefined ? {} : { PORT: String(port) }),
    };
  }

  async #startServers(plan: StackPlan): Promise<{ DATABASE_URL: string; REDIS_URL: string }> {
    const { stateDir, signal } = this.#options;
    let { databaseUrl, redisUrl } = plan.config;
    if (plan.embedPostgres) {
      this.#progress('Starting PostgreSQL');
      const dir = path.join(stateDir, 'postgres');
      const server = await startPostgres({ dir, log: this.#log, signal });
      this.#closers.push(() => server.stop());
      this.#noticeEnd('PostgreSQL', server.exited);
      databaseUrl = server.url;
    }
    signal?.throwIfAborted();
    if (plan.embedRedis) {
      this.#progress('Starting Redis');
      const dir = path.join(stateDir, 'redis');
      const password = keptPassword(path.join(stateDir, 'redis.password'));
      const server = await startRedis({ dir, persist: true, password, log: this.#log, signal });
      this.#closers.push(() => server.stop());
      this.#noticeEnd('Redis', server.exited);
      redisUrl = server.url;
    }
    return { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl };
  }

  #startSimulator(plan: StackPlan): Promise<SimulatorLine> {
    const dir = path.join(this.#options.stateDir, 'apns');
    mkdirSync(dir, { recursive: true });
    return startAndReadLine<SimulatorLine>({
      ...this.#own('apns-simulator', plan.env, SIMULATOR_STOP_LIMIT_MS),
      entry: 'scripts/apns-simulator/main.ts',
      args: ['--dir', dir, '--port', '0'],
    });
  }

  /** Workers are stopped after every api, so that pushes of the last claims still go out. */
  async #startProcesses(env: Env, plan: StackPlan): Promise<string[]> {
    const { apis = 1, workers = 1 } = this.#options;
    this.#progress('Starting workers and api');
    const working = Array.from({ length: workers }, (_, index) => {
      const own = { ...env, WORKER_PORT: (index === 0 && env.WORKER_PORT) || '0' };
      return startOwnProcess<{ port: number }>(
        {
          ...this.#own(`workers-${index + 1}`, own, WORKER_STOP_LIMIT_MS),
          entry: 'workers/main.ts',
        },
        'ready',
      );
    });
    const listening = Array.from({ length: apis }, (_, index) => {
      const own = { ...env, PORT: index === 0 ? String(plan.config.port) : '0' };
      return startOwnProcess<{ url: string }>(
        { ...this.#own(`api-${index + 1}`, own, API_STOP_LIMIT_MS), entry: 'api/main.ts' },
        'listening',
      );
    });
    const [messages, ready] = await Promise.all([Promise.all(listening), Promise.all(working)]);
    // One place shows every series: the first api's /metrics has those of the workers.
    const host = urlHost(plan.config.host);
    const measures = ready.map(({ port }) => `http://${host}:${port}/metrics.json`);
    this.#processes.get('api-1')?.child.send({ type: 'workers', urls: measures });
    return messages.map(({ url }) => url);
  }

  #own(name: string, env: Env, stopLimitMs: number): Omit<OwnProcessOptions, 'entry'> {
    const options = { name, env, logDir: this.#logDir, signal: this.#options.signal };
    return { ...options, onSpawn: (managed) => this.#watch(managed, name, stopLimitMs) };
  }

  #watch(managed: ManagedProcess, name: string, stopLimitMs: number): void {
    // Spawned while the failure of another process is already stopping everything.
    if (this.#stopped) void managed.kill();
    this.#processes.set(name, managed);
    this.#closers.push(() => managed.stop(stopLimitMs));
    this.#noticeEnd(name, managed.exited);
  }

  #noticeEnd(name: string, exited: Promise<string>): void {
    void exited.then((how) => {
      if (this.#stopped) return;
      const why = lastWords(logFileOf({ logDir: this.#logDir, name }));
      this.#died.resolve(`${name} ${how}${why ? `: ${why}` : ''}`);
    });
  }
}

function apnsVariables(simulator: SimulatorLine): Env {
  return {
    APNS_URL: simulator.url,
    APNS_CA_FILE: simulator.ca_file,
    APNS_KEY_FILE: simulator.key_file,
    APNS_KEY_ID: simulator.key_id,
    APNS_TEAM_ID: simulator.team_id,
  };
}
