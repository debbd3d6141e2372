/** The tables of what the processes of a deployment share besides jobs and drivers. Part of the schema. */
import { customType, index, pgTable, primaryKey, text } from './drizzle.ts';
import { createdAt, time } from './schema-columns.ts';

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    sub: text('sub').notNull(),
    key: text('key').notNull(),
    bodyHash: text('body_hash').notNull(),
    jobId: text('job_id').notNull(),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.sub, t.key] }), index('idempotency_keys_age').on(t.createdAt)],
);

/** Users of any role whom an operator has blocked, by the `sub` of their tokens. */
export const usersBlocked = pgTable('users_blocked', {
  id: text('id').primaryKey(),
  blockedBy: text('blocked_by').notNull(),
  blockedAt: time('blocked_at').notNull().defaultNow(),
});

/** Random keys that every process of a deployment shares. */
export const secrets = pgTable('secrets', {
  name: text('name').primaryKey(),
  value: bytea('value').notNull(),
});

export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  expiresAt: time('expires_at').notNull(),
});
