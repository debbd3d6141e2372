/**
 * The only place that spells a key. A zone's keys share the hash tag `{zone}`, a driver's `{id}`,
 * so in Redis Cluster one script touches one slot. All of it is a projection of Postgres.
 */
import type { Zone } from '../domain/zones.ts';

/** The truck type under which every available driver is indexed. */
const ANY_TYPE = '*';

/** How long keys of drivers live after the last write: their rows know more. */
export const DRIVER_KEYS_TTL_S = 3600;

/** No truck type may be spelled like the key of all types. */
const encodeType = (truckType: string) => encodeURIComponent(truckType).replaceAll('*', '%2A');

/** The entry of a driver in a zone's roster, as `lib/roster.lua` writes it. */
export function rosterEntry(rev: number, available: boolean, truckType: string | null): string {
  return `${rev} ${available ? 1 : 0} ${truckType === null ? ANY_TYPE : encodeType(truckType)}`;
}

export const keys = {
  /** SET: zones that Redis was filled with, for the sweep. */
  zones: 'muster:zones',
  /** Everything of a zone, for scripts that read many jobs; also a prefix of its jobs' keys. */
  zonePrefix: (zone: Zone) => `muster:{${zone}}:`,
  /** GEO: open jobs. In `world` all at 0,0. Writer: put-job. */
  openJobs: (zone: Zone) => `muster:{${zone}}:jobs`,
  /**
   * HASH version, at (when that version was written), state `open|claiming|closed|gone` (its row is gone),
   * status, driver, token, lease, payload. Expires an hour after closing.
   */
  job: (zone: Zone, id: string) => `muster:{${zone}}:job:${id}`,
  /** ZSET job → end of the lease under which it is being claimed. */
  claims: (zone: Zone) => `muster:{${zone}}:claims`,
  /** HASH driver → `declined|released`: who must not see the job again. */
  declined: (zone: Zone, id: string) => `muster:{${zone}}:declined:${id}`,
  /** GEO: available drivers, all of them or those of one truck type. Writer: track, index-driver. */
  candidates: (zone: Zone, truckType: string | null) =>
    `muster:{${zone}}:drivers:${truckType === null ? ANY_TYPE : encodeType(truckType)}`,
  /** HASH driver → `rev available type`: drivers at work here, whether each is available, and in which index. */
  roster: (zone: Zone) => `muster:{${zone}}:roster`,
  /** HASH driver → `lat lng at heading`: last fixes, `at` the phone's time capped at ours. */
  fixes: (zone: Zone) => `muster:{${zone}}:fixes`,
  /** ZSET driver → server time (ms) of his last sign of life; in `world` it may be some seconds old. */
  seen: (zone: Zone) => `muster:{${zone}}:seen`,
  /** HASH process → what it measured for alarms and charts, and when. */
  vitals: 'muster:vitals',
  /** HASH mark, server: how far PostgreSQL had come at the last look, and which server it was. */
  truth: 'muster:truth',
  /** STREAM `point`: points of the charts, for a quarter of an hour. Writer: the leader. */
  pulse: 'muster:pulse',
  /** HASH rev, state (JSON), atWork, zone, zoneAt. Writer: put-driver, move-driver. */
  driver: (id: string) => `muster:driver:{${id}}`,
};

/** A log: what happened, in order; each entry names the one before it and is also published at once. */
export interface LogKeys {
  /** HASH `ready` (run id of the server that a rebuild filled), `last` (id of the newest entry). */
  meta: string;
  /** STRING: a rebuild under way; gone if Redis was emptied meanwhile. */
  rebuild: (token: string) => string;
  /** STREAM of entries `prev`, `body`; capped. */
  log: string;
  /** Sharded channel: the same entries at once, and positions, which are not logged. */
  live: string;
}

const logKeys = (tag: string): LogKeys => ({
  meta: `muster:{${tag}}:meta`,
  rebuild: (token) => `muster:{${tag}}:rebuild:${token}`,
  log: `muster:{${tag}}:log`,
  live: `muster:{${tag}}:live`,
});

/** A zone's log: jobs and refusals; on the live channel also positions. */
export const zoneLog = (zone: Zone): LogKeys => logKeys(zone);
/** Changes of drivers (approval, availability, type, limit, zone): every gateway follows it. */
export const driversLog: LogKeys = logKeys('drivers');
/** Events for single people (customers, a job's driver): every gateway follows it. */
export const usersLog: LogKeys = logKeys('users');
/** Written by the health probe; nobody follows it. In a Cluster each primary has one of its own. */
export const canaryLog = (number: number): LogKeys => logKeys(`canary${number}`);
