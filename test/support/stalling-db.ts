/** A Postgres that answers when it is told to, and writes down the rows that it was sent as JSON. */
import type { Db } from '../../engine/pg/client.ts';
import type { SQL } from '../../engine/pg/drizzle.ts';

export interface Asked<Row> {
  rows: Row[];
  answer(): void;
  fail(): void;
}

export function stallingDb<Row>(): { db: Db; asked: Asked<Row>[] } {
  const asked: Asked<Row>[] = [];
  const execute = (query: SQL) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown[]>();
    asked.push({
      rows: rowsOf<Row>(query),
      answer: () => resolve([]),
      fail: () => reject(new Error('too slow')),
    });
    return promise;
  };
  return { db: { execute } as unknown as Db, asked };
}

function rowsOf<Row>({ queryChunks }: SQL): Row[] {
  const json = queryChunks.find((chunk) => typeof chunk === 'string' && chunk.startsWith('['));
  return JSON.parse(json as string);
}
