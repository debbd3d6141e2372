/**
 * Notifications as their users and the critical lane see them. One is done when the outcome of its push,
 * or the lack of a phone, is on record; until then it is enqueued again.
 */
import type { EngineContext } from '../context.ts';
import type { App } from '../domain/notifications.ts';
import type { Cursors, Listed, PageQuery } from '../lists/cursors.ts';
import {
  countUndone,
  findNotification,
  isOvertaken,
  listNotifications,
  markDone,
  markRead,
  type NotificationRow,
} from '../pg/notifications.ts';

export type { NotificationRow } from '../pg/notifications.ts';

export interface Notifications {
  /** A page of what a user was told in one of the apps, newest first. */
  list(userId: string, app: App, page: PageQuery): Promise<Listed<NotificationRow>>;
  /** Null when the user has no such notification. */
  markRead(userId: string, app: App, id: string): Promise<NotificationRow | null>;
  find(id: string): Promise<NotificationRow | null>;
  /** Has its user been pushed something newer about the same job? */
  isOvertaken(notification: NotificationRow): Promise<boolean>;
  /** Nothing more is pushed for it. May be called twice. */
  markDone(id: string): Promise<void>;
  /** How many older than this have no outcome. */
  countUndone(olderThanMs: number): Promise<number>;
}

export function createNotifications(
  { db }: Pick<EngineContext, 'db'>,
  cursors: Cursors,
): Notifications {
  return {
    list: (userId, app, page) =>
      cursors.page(`notifications of ${app}:${userId}`, page, (after, limit) =>
        listNotifications(db, userId, app, { after, limit }),
      ),
    markRead: (userId, app, id) => markRead(db, userId, app, id),
    find: (id) => findNotification(db, id),
    isOvertaken: (notification) => isOvertaken(db, notification),
    markDone: (id) => markDone(db, id),
    countUndone: (olderThanMs) => countUndone(db, olderThanMs),
  };
}
