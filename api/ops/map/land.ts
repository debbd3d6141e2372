/**
 * The land under the console's map, tile by tile. A thread cuts it, and lives while somebody moves the
 * map, so that it takes neither time nor memory from calls and feeds.
 */
import { Worker } from 'node:worker_threads';
import { keyOf, type LandTile, type TileAddress } from './land-tile.ts';

/** After this long without a new tile the thread is ended and its memory freed. */
const IDLE_MS = 20_000;
/** About 5 MB of tiles; a city needs four. */
const KEPT_MAX = 256;

export interface Land {
  /** A tile as JSON: `{"rings": [[lng, lat, lng, lat, …], …]}`. */
  tile(address: TileAddress): Promise<string>;
}

export function createLand(): Land {
  const kept = new Map<string, string>();
  const asked = new Map<string, PromiseWithResolvers<string>>();
  let thread: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;

  function start(): Worker {
    const worker = new Worker(new URL('land-tile.ts', import.meta.url));
    worker.unref();
    worker.on('message', ({ key, rings }: LandTile) => {
      const text = JSON.stringify({ rings });
      asked.get(key)?.resolve(text);
      asked.delete(key);
      kept.set(key, text);
      const [oldest] = kept.keys();
      if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
      idle?.refresh();
    });
    worker.on('error', (error) => {
      for (const waiting of asked.values()) waiting.reject(error);
      asked.clear();
      thread = undefined;
    });
    idle = setTimeout(() => {
      thread = undefined;
      void worker.terminate();
    }, IDLE_MS).unref();
    return worker;
  }

  return {
    async tile(address) {
      const key = keyOf(address);
      const known = kept.get(key) ?? asked.get(key)?.promise;
      if (known !== undefined) return known;
      const waiting = Promise.withResolvers<string>();
      asked.set(key, waiting);
      thread ??= start();
      idle?.refresh();
      thread.postMessage(address);
      return waiting.promise;
    },
  };
}
