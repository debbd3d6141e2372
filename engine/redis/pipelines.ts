/** Many calls in few writes, even if their keys lie on several nodes. */
import type { ChainableCommander } from 'ioredis';
import type { RedisClient } from './client.ts';
import { asCluster, groupOf } from './cluster.ts';

/**
 * One call for each item, in one pipeline per node; `add` adds exactly one call. Values come in the order of
 * the items; throws the first error among them.
 */
export async function pipelined<T>(
  client: RedisClient,
  items: readonly T[],
  keyOf: (item: T) => string,
  add: (pipeline: ChainableCommander, item: T) => void,
): Promise<unknown[]> {
  const values: unknown[] = new Array(items.length);
  const places = items.map((item, place) => ({ item, place }));
  const cluster = asCluster(client);
  const groups = cluster
    ? Map.groupBy(places, ({ item }) => groupOf(cluster, keyOf(item)))
    : new Map([[0, places]]);
  await Promise.all(
    [...groups.values()].map(async (group) => {
      if (group.length === 0) return;
      const pipeline = client.pipeline();
      for (const { item } of group) add(pipeline, item);
      const replies = (await pipeline.exec()) ?? [];
      for (const [i, { place }] of group.entries()) {
        const [error, value] = replies[i] ?? [new Error('Redis did not answer'), null];
        if (error) throw error;
        values[place] = value;
      }
    }),
  );
  return values;
}
