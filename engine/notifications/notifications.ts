/**
 * Notifications as their users and the critical lane see them. One is done when the outcome of its push,
 * or that there is no phone, is on record; until then it is handed over again.
 */
import type { EngineContext } from '../context.ts';
import type { App } from '../domain/notifications.ts';
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
  /** A user's notifications, newest first; `before` is the id of the last one of the page before. */
  list(
    userId: string,
    app: App,
    page: { before?: string; limit: number },
  ): Promise<NotificationRow[]>;
  /** Null when the user has no such notification. */
  markRead(userId: string, app: App, id: string): Promise<NotificationRow | null>;
  find(id: string): Promise<NotificationRow | null>;
  /** Has its user been pushed something newer about the same job? */
  isOvertaken(notification: NotificationRow): Promise<boolean>;
  /** Nothing more is pushed for it. May be said twice. */
  markDone(id: string): Promise<void>;
  /** How many have no outcome although they are so old. */
  countUndone(olderThanMs: number): Promise<number>;
}

export function createNotifications({ db }: Pick<EngineContext, 'db'>): Notifications {
  return {
    list: (userId, app, page) => listNotifications(db, userId, app, page),
    markRead: (userId, app, id) => markRead(db, userId, app, id),
    find: (id) => findNotification(db, id),
    isOvertaken: (notification) => isOvertaken(db, notification),
    markDone: (id) => markDone(db, id),
    countUndone: (olderThanMs) => countUndone(db, olderThanMs),
  };
}
