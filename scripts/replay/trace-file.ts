/**
 * Writes a trace: JSON Lines, gzipped if the name ends in `.gz`. The same events give the same bytes;
 * the file is written completely or not at all.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { TraceEvent } from './trace.ts';

/** Lines go out in pieces: one write for each would take most of the time. */
const PIECE_CHARACTERS = 256 * 1024;

export interface Written {
  locations: number;
  jobs: number;
  /** How many drivers the locations belong to. */
  drivers: number;
}

/** How many of each were written. */
export async function writeTrace(
  path: string,
  events: Iterable<TraceEvent> | AsyncIterable<TraceEvent>,
): Promise<Written> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.part`;
  const written: Written = { locations: 0, jobs: 0, drivers: 0 };
  const text = Readable.from(pieces(events, written));
  const file = createWriteStream(draft);
  try {
    if (path.endsWith('.gz')) await pipeline(text, createGzip(), file);
    else await pipeline(text, file);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return written;
}

async function* pieces(
  events: Iterable<TraceEvent> | AsyncIterable<TraceEvent>,
  written: Written,
): AsyncGenerator<string> {
  let piece = '';
  const drivers = new Set<string>();
  for await (const event of events) {
    if (event.type === 'job') written.jobs += 1;
    else {
      written.locations += 1;
      drivers.add(event.driver);
    }
    piece += `${JSON.stringify(event)}\n`;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
  }
  written.drivers = drivers.size;
  if (piece !== '') yield piece;
}
