/** Walks through the keys of all servers that hold some. */
import { primariesOf, type RedisClient } from './client.ts';

const PAGE = 500;

/**
 * The keys that match the pattern, page by page; in a Cluster from every primary. A key that exists all the
 * while comes at least once; in a slot that is being moved it may come twice.
 */
export async function* scanKeys(redis: RedisClient, pattern: string): AsyncGenerator<string[]> {
  for (const server of primariesOf(redis)) {
    let cursor = '0';
    do {
      const [next, found] = await server.scan(cursor, 'MATCH', pattern, 'COUNT', PAGE);
      if (found.length > 0) yield found;
      cursor = next;
    } while (cursor !== '0');
  }
}
