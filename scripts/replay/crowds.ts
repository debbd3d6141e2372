/**
 * How many processes hold the phones of a run, and which phone is where. One crowd in this process
 * when one event loop can serve all of them; else several, each in a process of its own.
 */
import os from 'node:os';
import { Crowd } from './crowd.ts';
import { startCrowdProcess } from './crowd-process.ts';
import type { Command, CrowdPort, CrowdSetup, Fact, PhoneKind } from './facts.ts';
import type { TokenSpec } from './token-source.ts';
import type { Survey } from './trace.ts';

/** What one process can serve without being late itself, measured, with a margin of two. */
const SOCKETS_PER_PROCESS = 4000;
const FRAMES_PER_S_AND_PROCESS = 15_000;
/** Each offer comes and goes, on the screens of about half of the drivers. */
const FRAMES_PER_JOB_AND_DRIVER = 1;

/** Few customers post many jobs each: a socket for each job would be a crowd of its own. */
const CUSTOMERS_MIN = 200;
const JOBS_PER_CUSTOMER = 50;

export interface CrowdsOptions {
  run: string;
  urls: string[];
  tokens: TokenSpec;
  seed: number;
  maxBehindMs: number;
  phones: readonly PhoneKind[];
  customers: number;
  processes: number;
  tell(fact: Fact): void;
}

export interface Crowds {
  ports: readonly CrowdPort[];
  /** Hands a command to the crowd of its driver or customer. */
  send(command: Exclude<Command, { do: 'storm' }>): void;
  storm(drivers: readonly number[], customers: readonly number[], sync: boolean): void;
  /** All crowds at once. */
  all<T>(what: (port: CrowdPort) => Promise<T>): Promise<T[]>;
}

/** A job may stay open for long: no customer has more than the 100 that he is allowed. */
export function customersFor(jobs: number): number {
  return Math.max(Math.min(jobs, CUSTOMERS_MIN), Math.ceil(jobs / JOBS_PER_CUSTOMER));
}

export function processesFor(survey: Survey, speed: number): number {
  const drivers = survey.drivers.length;
  const jobsPerS = (survey.jobs / Math.max(1, survey.durationMs / 1000)) * speed;
  const frames = jobsPerS * drivers * FRAMES_PER_JOB_AND_DRIVER;
  const sockets = drivers + customersFor(survey.jobs);
  const wanted = Math.max(sockets / SOCKETS_PER_PROCESS, frames / FRAMES_PER_S_AND_PROCESS);
  return Math.max(1, Math.min(os.availableParallelism(), Math.ceil(wanted)));
}

export function createCrowds(options: CrowdsOptions): Crowds {
  const { processes, tell } = options;
  const start = (setup: CrowdSetup): CrowdPort =>
    processes === 1 ? new Crowd(setup, tell) : startCrowdProcess(setup, tell);
  const ports = Array.from({ length: processes }, (_, i) => start(setupOf(options, i)));
  const portOf = (n: number): CrowdPort => ports[n % processes] as CrowdPort;
  return {
    ports,
    send: (command) =>
      portOf('driver' in command ? command.driver : command.customer).send(command),
    storm(drivers, customers, sync) {
      for (const [i, port] of ports.entries()) {
        const mine = (n: number): boolean => n % processes === i;
        const hit = { drivers: drivers.filter(mine), customers: customers.filter(mine) };
        port.send({ do: 'storm', ...hit, sync });
      }
    },
    all: (what) => Promise.all(ports.map(what)),
  };
}

function setupOf(options: CrowdsOptions, i: number): CrowdSetup {
  const { run, urls, tokens, seed, maxBehindMs, phones, processes } = options;
  const mine = (count: number): number[] =>
    Array.from({ length: count }, (_, n) => n).filter((n) => n % processes === i);
  const drivers = mine(phones.length);
  const own = drivers.map((driver) => phones[driver] ?? 'good');
  const customers = mine(options.customers);
  return { run, urls, tokens, seed, maxBehindMs, drivers, customers, phones: own };
}
