/**
 * Messages between the conductor of a replay and the crowds that hold the phones: commands one way,
 * facts the other, all plain JSON because a crowd may be a process of its own. Drivers, jobs and
 * customers are numbered from 0; times are `nowMs()`.
 */
import type { TokenSpec } from './token-source.ts';

export type PhoneKind = 'good' | 'slow' | 'flaky';

export interface CrowdSetup {
  run: string;
  urls: string[];
  tokens: TokenSpec;
  /** The numbers of its drivers and customers. */
  drivers: number[];
  customers: number[];
  /** The lines of its drivers' phones, in the same order. */
  phones: PhoneKind[];
  seed: number;
  /** An event that leaves later than this is counted as late. */
  maxBehindMs: number;
}

export type Command =
  | { do: 'fix'; dueMs: number; driver: number; lat: number; lng: number; free: boolean }
  | { do: 'post'; dueMs: number; job: number; customer: number; lat: number; lng: number }
  | { do: 'tap'; dueMs: number; tap: number; driver: number; id: string }
  | { do: 'decline'; driver: number; id: string }
  | { do: 'work'; driver: number; id: string; forMs: number }
  | { do: 'storm'; drivers: number[]; customers: number[]; sync: boolean };

export type Fact =
  | { is: 'sent'; job: number; atMs: number }
  | { is: 'posted'; job: number; atMs: number; id: string | null; code: string | null }
  | { is: 'offered'; job: number; id: string; driver: number; atMs: number }
  | { is: 'gone'; job: number; driver: number; atMs: number }
  | { is: 'answered'; tap: number; sentMs: number; atMs: number; ok: boolean; code: string | null }
  /** `sinceMs`: since when the customer's socket has been live. */
  | { is: 'told'; id: string; atMs: number; sinceMs: number }
  | { is: 'worked'; driver: number }
  /** The deployment has confirmed that he takes jobs. */
  | { is: 'online'; driver: number; atMs: number }
  | { is: 'up'; driver: number; atMs: number }
  | { is: 'down'; driver: number; atMs: number }
  | { is: 'load'; load: Load };

/** The load of a crowd's process since its last report. */
export interface Load {
  events: number;
  late: number;
  latestMs: number;
  /** CPU of the process, as a share of one core. */
  cpu: number;
  loopP99Ms: number;
}

/** A driver's app as it stands, to be compared with the truth. */
export interface DriverView {
  driver: number;
  free: boolean;
  position: { lat: number; lng: number } | null;
  jobs: string[];
}

/** A crowd, here or in another process. */
export interface CrowdPort {
  send(command: Command): void;
  /** Accounts, phones and sockets. Throws `CallError`. */
  prepare(): Promise<void>;
  /** Completes what is still being worked on. */
  finishWork(): Promise<void>;
  /** Makes every line good again and waits until everybody is connected and the server knows his state. */
  mend(): Promise<void>;
  views(): Promise<DriverView[]>;
  /** Since the last report. */
  load(): Promise<Load>;
  /** Everybody goes offline; with `keep` all stay as they are and only the sockets are closed. */
  leave(keep: boolean): Promise<void>;
}

/** Makes the ids of the people of a run. */
export const driverId = (run: string, driver: number): string => `${run}-d${driver + 1}`;
export const customerId = (run: string, customer: number): string => `${run}-c${customer + 1}`;
