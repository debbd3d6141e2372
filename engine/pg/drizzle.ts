/**
 * Drizzle, as CommonJS. For each ESM file of a package Node reads its package.json anew to learn the kind of
 * module, and Drizzle's has 180 KB: with its hundred files that was half the cost of starting a process. A
 * `.cjs` file says its kind by its name.
 */
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

export const { eq, getTableName, isTable, sql } = load(
  'drizzle-orm',
) as typeof import('drizzle-orm');
export const {
  bigint,
  bigserial,
  boolean,
  customType,
  date,
  doublePrecision,
  index,
  integer,
  jsonb,
  numeric,
  pgEnum,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} = load('drizzle-orm/pg-core') as typeof import('drizzle-orm/pg-core');
export const { drizzle } = load(
  'drizzle-orm/postgres-js',
) as typeof import('drizzle-orm/postgres-js');
export const { readMigrationFiles } = load(
  'drizzle-orm/migrator',
) as typeof import('drizzle-orm/migrator');
export type { SQL } from 'drizzle-orm';
export type { MigrationMeta } from 'drizzle-orm/migrator';
export type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
