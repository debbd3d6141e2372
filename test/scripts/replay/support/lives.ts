/** A ledger with one good job, made of facts as a crowd tells them; times are in milliseconds. */
import type { Fact, PhoneKind } from '../../../../scripts/replay/facts.ts';
import { type JobLife, Ledger } from '../../../../scripts/replay/ledger.ts';

export const PLACE = { lat: 45, lng: -34 };
/** When the job is due. */
export const DUE = 10_000;

export function newLedger(phones: PhoneKind[] = ['good', 'good', 'good', 'good']): Ledger {
  const nothing = () => {};
  const deaf = { offered: nothing, answered: nothing, posted: nothing, worked: nothing };
  return new Ledger(phones, deaf);
}

/** Drivers who are connected, online and close by long before the job is due. */
export function placeDrivers(ledger: Ledger, drivers: number[]): void {
  for (const driver of drivers) {
    ledger.take({ is: 'up', driver, atMs: 0 });
    ledger.drivers[driver]?.fix({ ...PLACE, lat: PLACE.lat + 0.01, atMs: 10, free: true });
    ledger.take({ is: 'online', driver, atMs: 20 });
  }
}

export function beginJob(ledger: Ledger, name = 'pickup-1', dueMs = DUE): JobLife {
  return ledger.begin({ name, ...PLACE, customer: 0, dueMs });
}

export function tell(ledger: Ledger, ...facts: Exclude<Fact, { is: 'load' }>[]): void {
  for (const fact of facts) ledger.take(fact);
}

export function post(ledger: Ledger, life: JobLife, id: string | null, code: string | null): void {
  const job = life.number;
  tell(
    ledger,
    { is: 'sent', job, atMs: life.dueMs + 2 },
    { is: 'posted', job, atMs: life.dueMs + 30, id, code },
  );
}

export function offer(ledger: Ledger, life: JobLife, driver: number, atMs: number): void {
  tell(ledger, { is: 'offered', job: life.number, id: `job-${life.number + 1}`, driver, atMs });
}

/** A driver taps at `dueMs`, 1 ms in the replayer, and is answered 10 ms later; null: a yes. */
export function tap(
  ledger: Ledger,
  life: JobLife,
  driver: number,
  dueMs: number,
  code: string | null,
): void {
  const number = ledger.tap(life, { driver, dueMs, swept: false });
  const times = { sentMs: dueMs + 1, atMs: dueMs + 11 };
  tell(ledger, { is: 'answered', tap: number, ...times, ok: code === null, code });
}

/** One job, offered to three drivers, tapped by two, won by the first, all as it should be. */
export function goodLedger(): { ledger: Ledger; life: JobLife } {
  const ledger = newLedger();
  placeDrivers(ledger, [0, 1, 2]);
  const life = beginJob(ledger);
  post(ledger, life, 'job-1', null);
  for (const driver of [0, 1, 2]) offer(ledger, life, driver, DUE + 5 + driver);
  tap(ledger, life, 0, DUE + 100, null);
  tap(ledger, life, 1, DUE + 101, 'already_accepted');
  for (const driver of [1, 2]) {
    tell(ledger, { is: 'gone', job: 0, driver, atMs: DUE + 120 + driver });
  }
  tell(ledger, { is: 'told', id: 'job-1', atMs: DUE + 131, sinceMs: 0 });
  const state = { status: 'completed', driverId: 'd0' };
  const pushes = {
    customerSent: 1,
    customerAttempts: 1,
    attempts: 3,
    sent: 3,
    driverRepeats: [],
    afterClaim: 0,
    withoutCredentials: false,
  };
  life.truth = { api: state, sql: { ...state }, pushes, claimToLastPushMs: 7 };
  return { ledger, life };
}
