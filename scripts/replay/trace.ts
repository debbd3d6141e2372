/**
 * Burst traces (contract section 8): JSON Lines, gzip allowed, sorted by time. Read as a stream,
 * once to see who takes part and once to play, so that a trace of a whole day needs no more memory.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** A driver's fix; `free` says that he takes jobs. `t` is milliseconds from the start. */
export interface LocationEvent {
  t: number;
  type: 'location';
  driver: string;
  lat: number;
  lng: number;
  free: boolean;
}

/** A job appears. */
export interface JobEvent {
  t: number;
  type: 'job';
  job: string;
  lat: number;
  lng: number;
  /** The driver who really took it, where the trace was recorded. */
  served_by?: string;
}

export type TraceEvent = LocationEvent | JobEvent;

export interface TraceSource {
  /** What the report calls it. */
  name: string;
  /** All events from the beginning; may be asked for more than once. */
  events(): AsyncIterable<TraceEvent> | Iterable<TraceEvent>;
}

export interface Survey {
  events: number;
  /** In the order of their first fix. */
  drivers: string[];
  jobs: number;
  durationMs: number;
  /** Identifies the content of the trace, gzipped or not. */
  sha256: string;
}

/** The trace is not what section 8 describes; the message is one line and names the place. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
}

/** A trace in a file, plain or gzipped. */
export function fileTrace(path: string): TraceSource {
  return { name: path, events: () => readTrace(path) };
}

/**
 * Reads the whole trace once. Throws `TraceError` when it is malformed, unsorted or repeats a job.
 */
export async function surveyTrace(source: TraceSource): Promise<Survey> {
  const drivers = new Set<string>();
  const jobs = new Set<string>();
  const digest = createHash('sha256');
  let events = 0;
  let lastT = 0;
  for await (const event of source.events()) {
    events += 1;
    const fail = (problem: string): never => {
      throw new TraceError(`${source.name}, event ${events}: ${problem}`);
    };
    if (event.t < lastT) fail(`t goes back to ${event.t}`);
    lastT = event.t;
    digest.update(`${JSON.stringify(event)}\n`);
    if (event.type === 'location') drivers.add(event.driver);
    else if (jobs.has(event.job)) fail(`job ${event.job} again`);
    else jobs.add(event.job);
  }
  const sha256 = digest.digest('hex');
  return { events, drivers: [...drivers], jobs: jobs.size, durationMs: lastT, sha256 };
}

/** One line of a trace. Throws `TraceError`. */
export function parseEvent(line: string, lineNumber: number): TraceEvent {
  const fail = (problem: string): never => {
    throw new TraceError(`line ${lineNumber}: ${problem}`);
  };
  let event: Partial<Record<string, unknown>> | null;
  try {
    event = JSON.parse(line);
  } catch {
    return fail('not JSON');
  }
  if (typeof event !== 'object' || event === null) return fail('not an object');
  const { t, type, lat, lng, driver, job, free } = event;
  if (typeof t !== 'number' || t < 0) return fail('t must be milliseconds from the start');
  if (typeof lat !== 'number' || Math.abs(lat) > 90) return fail('lat must be degrees');
  if (typeof lng !== 'number' || Math.abs(lng) > 180) return fail('lng must be degrees');
  if (type === 'location') {
    if (typeof driver !== 'string' || driver === '') return fail('driver must be a name');
    if (typeof free !== 'boolean') return fail('free must be true or false');
    return { t, type, driver, lat, lng, free };
  }
  if (type !== 'job') return fail('type must be location or job');
  if (typeof job !== 'string' || job === '') return fail('job must be a name');
  return { t, type, job, lat, lng };
}

async function* readTrace(path: string): AsyncGenerator<TraceEvent> {
  const zipped = await isGzip(path);
  const bytes = createReadStream(path);
  const text = zipped ? bytes.pipe(createGunzip()) : bytes;
  // A pipe does not pass the reader's error on to the unzipper.
  bytes.on('error', (error) => text.destroy(error));
  let lineNumber = 0;
  try {
    for await (const line of linesOf(text)) {
      lineNumber += 1;
      if (line.trim() !== '') yield parseEvent(line, lineNumber);
    }
  } catch (error) {
    if (error instanceof TraceError) throw new TraceError(`${path}, ${error.message}`);
    throw new TraceError(`cannot read ${path}: ${(error as Error).message}`);
  } finally {
    bytes.destroy();
  }
}

/**
 * The lines of a text, without the mark that some editors put before the first. Only a line feed ends one, and
 * JSON takes a carriage return for a blank: `readline` also breaks lines at U+2028 and U+2029, which a name may hold.
 */
async function* linesOf(text: Readable): AsyncGenerator<string> {
  let rest = '';
  let isFirst = true;
  for await (const piece of text.setEncoding('utf8')) {
    const read: string = isFirst ? piece.replace(/^\uFEFF/, '') : rest + piece;
    isFirst = false;
    const lines = read.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  yield rest;
}

async function isGzip(path: string): Promise<boolean> {
  try {
    await using file = await open(path);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer.readUInt16BE() === 0x1f8b;
  } catch (error) {
    throw new TraceError(`cannot read ${path}: ${(error as Error).message}`);
  }
}
