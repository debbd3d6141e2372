/** A user's in-app notifications, as his app lists them and marks them as read. */
import type { EngineContext } from '../context.ts';
import type { App } from '../domain/notices.ts';
import type { Cursors, InvalidCursor, Page, PageQuery } from '../lists/cursors.ts';
import { listNotifications, markRead, type NotificationRow } from '../pg/notifications.ts';

export interface Inbox {
  /** A page of what a user was told in one of the apps, newest first. */
  list(
    userId: string,
    app: App,
    page: PageQuery,
  ): Promise<({ ok: true } & Page<NotificationRow>) | InvalidCursor>;
  /** Null when the user has no such notification. */
  markRead(userId: string, app: App, id: string): Promise<NotificationRow | null>;
}

export function createInbox({ db }: Pick<EngineContext, 'db'>, cursors: Cursors): Inbox {
  return {
    list: (userId, app, page) =>
      cursors.page(`notifications of ${app}:${userId}`, page, (after, limit) =>
        listNotifications(db, userId, app, { after, limit }),
      ),
    markRead: (userId, app, id) => markRead(db, userId, app, id),
  };
}
