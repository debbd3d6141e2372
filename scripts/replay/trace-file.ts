/**
 * Writes a trace: JSON Lines, gzipped if the name ends in `.gz`. The same events give the same bytes;
 * a file is written completely or not at all.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { cannotWrite } from './output-files.ts';
import type { TraceEvent } from './trace.ts';

/** Lines go out in pieces: one write for each would take most of the time. */
const PIECE_CHARACTERS = 256 * 1024;

export interface Written {
  locations: number;
  jobs: number;
  /** How many drivers the locations belong to. */
  drivers: number;
}

/** How many of each were written. Throws `UsageError` when the file cannot be, else what `events` throw. */
export async function writeTrace(
  path: string,
  events: Iterable<TraceEvent> | AsyncIterable<TraceEvent>,
): Promise<Written> {
  const written: Written = { locations: 0, jobs: 0, drivers: 0 };
  const text = Readable.from(pieces(events, written));
  const zip = path.endsWith('.gz') ? [createGzip()] : [];
  await inPlaceOf(path, (file) => pipeline([text, ...zip, createWriteStream(file)]));
  return written;
}

/**
 * Has a file written under another name, which is then its own. A link stays a link, and what is no file, such as
 * `/dev/stdout`, is written to: a file in its place would be missed by everybody else.
 */
async function inPlaceOf(path: string, write: (file: string) => Promise<void>): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const isFile = (await stat(target).catch(() => null))?.isFile() ?? true;
  const draft = isFile ? `${target}.${process.pid}.part` : target;
  try {
    await mkdir(dirname(target), { recursive: true });
    await write(draft);
    if (isFile) await rename(draft, target);
  } catch (error) {
    if (isFile) await rm(draft, { force: true });
    throw isOfFile(error) ? cannotWrite(path, error) : error;
  }
}

/** Did the file system refuse, and not whoever makes the events? */
function isOfFile(error: unknown): boolean {
  return ['open', 'write', 'mkdir', 'rename'].includes(
    (error as NodeJS.ErrnoException).syscall ?? '',
  );
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
