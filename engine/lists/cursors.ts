/**
 * Cursors say where a page of a list ended, signed, so that the next page goes on from there whatever was
 * deleted meanwhile. A cursor holds the time and the id of the last row but does not need that row; it is
 * good only for the list and the caller it was made for.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** The place of a row in its list: its sort value, then its id. */
export interface Place {
  /** Microseconds since 1970 in lists by time: as exact as the row, or two rows would share a place. */
  at: string;
  id: string;
}

export interface Page<Row> {
  rows: Row[];
  /** Null after the last page. */
  nextCursor: string | null;
}

/** What a caller asks of a list. */
export interface PageQuery {
  limit: number;
  cursor?: string | undefined;
}

/** The cursor is broken, or was made for another list or another caller. */
export interface InvalidCursor {
  ok: false;
  code: 'invalid_cursor';
}

/** A page, or the refusal of its cursor. */
export type Listed<Row> = ({ ok: true } & Page<Row>) | InvalidCursor;

export interface Cursors {
  /**
   * One page: `read` gets the place after which the page begins and how many rows to read, one more
   * than are shown. Fewer are shown if their texts are long. `list` names the list and its caller.
   */
  page<Row extends { id: string; place: string }>(
    list: string,
    query: PageQuery,
    read: (after: Place | null, limit: number) => Promise<Row[]>,
  ): Promise<Listed<Row>>;
}

/** Half of a SHA-256 is as hard to guess and keeps cursors short. */
const SIGNATURE_BYTES = 16;

/**
 * Most text in a page, however many rows were asked for: 200 jobs with the longest notes would be 1.8 MB,
 * and a hundred such answers at once hold everybody up.
 */
const PAGE_TEXT_MAX = 256 * 1024;

/** `key` is shared by every process, since the next page may be asked of another. */
export function createCursors(key: Buffer): Cursors {
  const sign = (list: string, place: string) =>
    createHmac('sha256', key).update(`${list}\n${place}`).digest().subarray(0, SIGNATURE_BYTES);

  function write(list: string, { place, id }: { place: string; id: string }): string {
    const text = `${place} ${id}`;
    return `${Buffer.from(text).toString('base64url')}.${sign(list, text).toString('base64url')}`;
  }

  function read(list: string, cursor: string): Place | null {
    const [body = '', signature = ''] = cursor.split('.');
    const text = Buffer.from(body, 'base64url').toString();
    const given = Buffer.from(signature, 'base64url');
    const expected = sign(list, text);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
    const [at = '', id = ''] = text.split(' ');
    return { at, id };
  }

  return {
    async page(list, { limit, cursor }, readRows) {
      const after = cursor === undefined ? null : read(list, cursor);
      if (cursor !== undefined && !after) return { ok: false, code: 'invalid_cursor' };
      const rows = await readRows(after, limit + 1);
      const shown = Math.min(limit, countOfFitting(rows));
      const last = rows.length > shown ? rows[shown - 1] : undefined;
      return { ok: true, rows: rows.slice(0, shown), nextCursor: last ? write(list, last) : null };
    },
  };
}

/** How many of these rows fit into a page by their texts; at least one. */
function countOfFitting(rows: readonly object[]): number {
  let text = 0;
  for (const [i, row] of rows.entries()) {
    for (const value of Object.values(row)) if (typeof value === 'string') text += value.length;
    if (text > PAGE_TEXT_MAX) return Math.max(1, i);
  }
  return rows.length;
}
