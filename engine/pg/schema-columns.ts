/** Columns that tables share. */
import { boolean, timestamp } from './drizzle.ts';

export const time = (name: string) => timestamp(name, { withTimezone: true });
export const createdAt = () => time('created_at').notNull().defaultNow();
/** It is folded into its drivers' counters: false until a moment after it is over. */
export const folded = () => boolean('folded').notNull().default(false);
