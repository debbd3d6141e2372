/** Columns that tables share. */
import { boolean, timestamp } from './drizzle.ts';

export const time = (name: string) => timestamp(name, { withTimezone: true });
export const createdAt = () => time('created_at').notNull().defaultNow();
/** The counters of its drivers hold it: false for what is alive, and a moment longer. */
export const folded = () => boolean('folded').notNull().default(false);
