/**
 * The operators' feed: one connection for the whole console, and its state of jobs, drivers and health.
 * It reconnects by itself after a loss; meanwhile the last state stays on the page, marked as old.
 */
import { expiry } from './calls.js';
import { connect } from './connection.js';
import { isHeld, isOpen } from './names.js';
import { createStore, useStore } from './store.js';
import { serverNow, setServerTime } from './time.js';

/**
 * @typedef {object} Job the API's Job
 * @property {string} id
 * @property {string} status
 * @property {number} version
 * @property {string} address
 * @property {number | null} lat
 * @property {number | null} lng
 * @property {number} total_price
 * @property {string | null} truck_type
 * @property {string | null} notes
 * @property {string | null} driver_id
 * @property {string} created_at
 * @property {string} updated_at
 * @property {string | null} expires_at
 * @property {string | null} accepted_at
 * @property {string} [customer_id]
 *
 * @typedef {object} Driver
 * @property {number} handle
 * @property {string} id
 * @property {string | null} name null until the feed has told it
 * @property {string} state
 * @property {number | null} lat
 * @property {number | null} lng
 * @property {number | null} at when he was there, epoch ms
 *
 * @typedef {object} Alarm
 * @property {string} name
 * @property {number | null} value
 * @property {number} limit
 * @property {boolean} ok
 * @property {string} what_to_do
 *
 * @typedef {object} Health
 * @property {string} at
 * @property {string | null} degraded_since
 * @property {Record<string, 'ok' | 'failed'>} checks
 * @property {Record<string, number>} jobs
 * @property {string | null} oldest_open_at
 * @property {Record<string, number>} drivers
 * @property {Alarm[] | null} alarms
 *
 * @typedef {object} FeedState
 * @property {'connecting' | 'live' | 'degraded' | 'disconnected'} status
 * @property {number} since epoch ms, since when it is so
 * @property {boolean} opening is a connection being opened?
 * @property {number | null} retryAt when it will be, epoch ms by this computer's clock
 * @property {string} why what the server said when it closed the last one
 * @property {boolean} loaded has there ever been a board? Nothing is known before
 * @property {Map<string, Job>} jobs open and held ones by id; another Map after each change
 * @property {Map<string, Driver>} drivers by id; the same Map all the time
 * @property {number} fleetVersion grows when a driver is new, or has another state or name
 * @property {Health | null} health
 */

/** People read no faster; a burst of changes then renders once. */
const PUBLISH_MS = 100;

const feed = createStore(
  /** @type {FeedState} */ ({
    status: 'connecting',
    since: serverNow(),
    opening: true,
    retryAt: null,
    why: '',
    loaded: false,
    jobs: new Map(),
    drivers: new Map(),
    fleetVersion: 0,
    health: null,
  }),
);

/** @typedef {'snapshot' | 'driver' | 'fixes' | 'everybody' | 'cells'} FleetEvent */
/** @typedef {(event: FleetEvent, data: any) => void} FleetListener */

/** @type {Set<FleetListener>} */
const fleetListeners = new Set();
/** @type {Map<number, Driver>} */
const byHandle = new Map();
/** @type {Partial<FeedState>} */
let unpublished = {};
let isPublishing = false;
/** When the server last sent something: after a loss the page is as of then. */
let heardAt = serverNow();
/** The next fixes are those of everybody within the view: all other drivers are elsewhere. */
let isEverybodyNext = false;

/**
 * Follows a part of the feed's state; renders again when that part changes.
 * @template Part
 * @param {(state: FeedState) => Part} select
 */
export const useFeed = (select) => useStore(feed, select);

/** The feed's state now, for handlers. */
export const feedNow = () => feed.get();

/**
 * Listens to each frame about drivers, at once: `snapshot` (all of them are new), `driver` (the Driver),
 * `fixes` (`[handle, lat, lng, …]`), `everybody` (the same, of all within the view), `cells` (counts by
 * H3 cell).
 * @param {FleetListener} listener
 */
export function onFleet(listener) {
  fleetListeners.add(listener);
  return () => fleetListeners.delete(listener);
}

const connection = connect({
  onFrame,
  onLoss(loss) {
    if (loss && feed.get().status !== 'disconnected') say('disconnected', heardAt);
    publish({ retryAt: loss?.retryAt ?? null, opening: loss === null, why: loss?.why ?? '' });
  },
  onExpired: () => expiry.set({ expired: true, why: 'The token has expired' }),
});

/** Asks for positions within this box: west, south, east, north. @param {readonly number[]} bbox */
export const view = (bbox) => connection.setView(bbox);

/** Tries to connect now instead of waiting. */
export const reconnectNow = () => connection.reconnectNow();

/** @param {string} event @param {any} data */
function onFrame(event, data) {
  heardAt = serverNow();
  if (event === 'hello') setServerTime(data.server_time);
  else if (event === 'ops:snapshot') takeSnapshot(data);
  else if (event === 'ops:fixes') takeFixes(data);
  else if (event === 'ops:cells') takeCells(data);
  else if (event === 'ack') isEverybodyNext = true;
  else if (event === 'ops:driver') takeDriver(data);
  else if (event === 'ops:job') takeJob(data);
  else if (event === 'ops:health') publish({ health: data });
  else if (event === 'feed:degraded') say('degraded', Date.parse(data.since));
  else if (event === 'feed:live') say('live', Date.parse(data.since));
}

/** @param {{drivers: any[][], jobs: Job[], health: Health}} snapshot */
function takeSnapshot({ drivers, jobs, health }) {
  const { drivers: known, fleetVersion, status } = feed.get();
  const names = new Map([...known.values()].map(({ id, name }) => [id, name]));
  known.clear();
  byHandle.clear();
  for (const [handle, id, state, lat, lng, at] of drivers) {
    keep({ handle, id, name: names.get(id) ?? null, state, lat, lng, at: at && Date.parse(at) });
  }
  const isDegraded = health.degraded_since !== null;
  publish({
    loaded: true,
    jobs: new Map(jobs.map((job) => [job.id, job])),
    fleetVersion: fleetVersion + 1,
    health,
    ...(status !== 'live' && !isDegraded && { status: 'live', since: serverNow() }),
  });
  tellFleet('snapshot', null);
}

/** @param {number[]} fixes */
function takeFixes(fixes) {
  const now = serverNow();
  for (let i = 0; i < fixes.length; i += 3) {
    const driver = byHandle.get(/** @type {number} */ (fixes[i]));
    if (!driver) continue;
    driver.lat = /** @type {number} */ (fixes[i + 1]);
    driver.lng = /** @type {number} */ (fixes[i + 2]);
    driver.at = now;
  }
  tellFleet(isEverybodyNext ? 'everybody' : 'fixes', fixes);
  isEverybodyNext = false;
}

/** @param {Record<string, number>} counts */
function takeCells(counts) {
  isEverybodyNext = true;
  tellFleet('cells', counts);
}

/** Takes a driver's name that a page has read before the feed told it. @param {string} id @param {string | null} name */
export function learnName(id, name) {
  const driver = feed.get().drivers.get(id);
  if (driver) driver.name ??= name;
}

/** @param {Omit<Driver, 'at'> & {at: string | null}} data */
function takeDriver(data) {
  const driver = { ...data, at: data.at === null ? null : Date.parse(data.at) };
  keep(driver);
  publish({ fleetVersion: (unpublished.fleetVersion ?? feed.get().fleetVersion) + 1 });
  tellFleet('driver', driver);
}

/** @param {Driver} driver */
function keep(driver) {
  feed.get().drivers.set(driver.id, driver);
  byHandle.set(driver.handle, driver);
}

/** @param {Job} job */
function takeJob(job) {
  const known = unpublished.jobs ?? feed.get().jobs;
  if ((known.get(job.id)?.version ?? 0) >= job.version) return;
  const jobs = unpublished.jobs ?? new Map(known);
  if (isOpen(job.status) || isHeld(job.status)) jobs.set(job.id, job);
  else jobs.delete(job.id);
  publish({ jobs });
}

/** @param {FeedState['status']} status @param {number} since */
function say(status, since) {
  publish({ status, since });
}

/** @param {Partial<FeedState>} patch */
function publish(patch) {
  Object.assign(unpublished, patch);
  if (isPublishing) return;
  isPublishing = true;
  setTimeout(() => {
    const news = unpublished;
    unpublished = {};
    isPublishing = false;
    feed.set(news);
  }, PUBLISH_MS);
}

/** @param {FleetEvent} event @param {any} data */
function tellFleet(event, data) {
  for (const listener of fleetListeners) listener(event, data);
}
