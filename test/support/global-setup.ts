/**
 * One Redis and one Postgres for a whole run of the suite, in a temporary folder, and a migrated
 * template database that each test file copies. Stopped at the end, and on whatever ends the run.
 */
import path from 'node:path';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../engine/pg/migrate.ts';
import { temporaryDir } from '../../scripts/dev/places.ts';
import { startPostgres } from '../../scripts/dev/postgres.ts';
import { startRedis } from '../../scripts/dev/redis.ts';
import { markOwner, removeLeftovers, removeSuite } from './leftovers.ts';

/** The migrated database that every other is copied from. */
const TEMPLATE = 'muster_template';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  removeLeftovers();
  const dir = temporaryDir('muster-test-');
  markOwner(dir);
  // Hundreds of processes load the same files: each is compiled once.
  process.env.NODE_COMPILE_CACHE ??= path.join(dir, 'compile-cache');
  const postgresServer = await startPostgres({ dir: path.join(dir, 'postgres'), durable: false });
  const redisServer = await startRedis({ dir: path.join(dir, 'redis') });
  await createTemplate(postgresServer.url);
  project.provide('suiteDir', dir);
  project.provide('postgresUrl', postgresServer.url);
  project.provide('redisUrl', redisServer.url);
  project.provide('templateDatabase', TEMPLATE);
  return async () => {
    await redisServer.stop();
    await postgresServer.stop();
    removeSuite(dir);
  };
}

async function createTemplate(url: string): Promise<void> {
  const client = postgres(url, { max: 1 });
  await client.unsafe(`create database ${TEMPLATE}`);
  await client.end();
  await migrate(new URL(`/${TEMPLATE}`, url).href);
}

declare module 'vitest' {
  export interface ProvidedContext {
    suiteDir: string;
    /** A database of the suite's Postgres, without tables. */
    postgresUrl: string;
    /** The suite's Redis, for tests that keep to keys of their own. */
    redisUrl: string;
    templateDatabase: string;
  }
}
