/**
 * A connected operator or viewer: the whole board once, then its changes as they come, and once a second
 * the drivers who moved within the view that the client asked for.
 */
import { type Box, cellOf, isInBox, resolutionFor } from '../../../engine/domain/cells.ts';
import { toTime } from '../../../engine/domain/job.ts';
import type { Connection } from '../connection.ts';
import { eventFrame, textFrames } from '../frame.ts';
import type { ServerEvent } from '../server-frames.ts';
import type { BoardDriver } from './fleet-board.ts';
import type { OpsFeed } from './ops-feed.ts';

/** Contract section 5: above this many drivers in view they are counted by cell. */
const DRAWN_MAX = 5000;

export class OpsSession {
  readonly role = 'operator';
  readonly connection: Connection;
  readonly #feed: OpsFeed;
  #view: Box | null = null;
  /** The last move that this client was told; null: it knows nothing of its view. */
  #told: number | null = null;
  /** The same for single drivers; null: the client must be sent the positions of everybody in view. */
  #placed: number | null = null;
  #needsSnapshot = true;

  constructor(connection: Connection, feed: OpsFeed) {
    this.connection = connection;
    this.#feed = feed;
    connection.onDrained = () => this.resync();
  }

  get isSnapshotDue(): boolean {
    return this.#needsSnapshot || !this.#feed.isCurrent;
  }

  /** The board follows once it has been read. */
  async load(): Promise<void> {
    this.#feed.join(this);
  }

  end(): void {
    this.#feed.leave(this);
  }

  /** The client may have missed something, or the board was read anew. */
  resync(): void {
    this.#needsSnapshot = true;
  }

  setView(box: Box): void {
    this.#view = box;
    this.#told = null;
    this.#placed = null;
  }

  tick(): void {
    if (!this.#needsSnapshot || !this.#feed.loaded) return;
    this.#needsSnapshot = false;
    // The snapshot has everybody's position.
    if (this.#told !== null) this.#told = this.#feed.fleet.moves;
    if (this.#placed !== null) this.#placed = this.#feed.fleet.moves;
    const { fleet, jobs, health } = this.#feed;
    const drivers = Array.from(fleet.drivers(), rowOf);
    const data = JSON.stringify({ drivers, jobs: [...jobs.jobs()], health });
    const frames = textFrames(`{"event":"ops:snapshot","data":${data}}`);
    this.connection.sendSnapshot('ops:snapshot', frames);
  }

  /** Sends what changed on the board; nothing before the snapshot. */
  send(event: ServerEvent, frame: Buffer): void {
    if (!this.#needsSnapshot) this.connection.send(event, frame);
  }

  /** The positions of this second. */
  sendMoves(): void {
    const view = this.#view;
    const { fleet } = this.#feed;
    const told = this.#told;
    if (!view || this.#needsSnapshot || (told !== null && told >= fleet.moves)) return;
    const placed = this.#placed;
    this.#told = fleet.moves;
    const moved: number[] = [];
    const inView: BoardDriver[] = [];
    for (const driver of fleet.drivers()) {
      const { fix } = driver.known;
      if (!fix || !isInBox(fix, view)) continue;
      inView.push(driver);
      if (placed === null || driver.movedAt > placed) moved.push(driver.handle, fix.lat, fix.lng);
    }
    const isCounted = inView.length > DRAWN_MAX;
    this.#placed = isCounted ? null : fleet.moves;
    if (isCounted) this.connection.sendEvent('ops:cells', cellsOf(inView, view));
    // An empty new view must be told as well.
    else if (moved.length > 0 || placed === null) this.connection.sendEvent('ops:fixes', moved);
  }
}

export function driverFrame({ handle, known, word }: BoardDriver): Buffer {
  const { id, name, fix } = known;
  const where = { lat: fix?.lat ?? null, lng: fix?.lng ?? null, at: fix && toTime(fix.at) };
  return eventFrame('ops:driver', { handle, id, name, state: word, ...where });
}

/** `[handle, id, state, lat, lng, at]` */
function rowOf({ handle, known, word }: BoardDriver): (string | number | null)[] {
  const { id, fix } = known;
  return [handle, id, word, fix?.lat ?? null, fix?.lng ?? null, fix && toTime(fix.at)];
}

function cellsOf(drivers: readonly BoardDriver[], view: Box): Record<string, number> {
  const resolution = resolutionFor(view);
  const counts: Record<string, number> = {};
  for (const { known } of drivers) {
    if (!known.fix) continue;
    const cell = cellOf(known.fix, resolution);
    counts[cell] = (counts[cell] ?? 0) + 1;
  }
  return counts;
}
