/** In-app notifications of drivers and customers. */
import type { App } from '../../engine/domain/notifications.ts';
import { NotificationsAnswer, ReadAnswer } from '../answers.ts';
import type { Identity } from '../auth.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { ApiError } from '../errors.ts';
import { identityOf } from '../guard.ts';
import { PageQuery, pageOf, shown } from '../lists.ts';
import { IdParams, NoBody } from '../schemas.ts';
import { notificationView } from '../views.ts';

const tag = 'push';
const config = { roles: ['driver', 'customer'] } as const;
/** Ids are UUIDs; anything else is no notification. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function notificationRoutes(app: HttpApp, { engine }: RouteDeps): void {
  const { notifications } = engine;
  app.route({
    method: 'GET',
    url: '/api/notifications',
    config: { ...config, isExpensive: true },
    schema: describeRoute({
      tag,
      summary: 'Your notifications, newest first',
      description:
        'Ask for the next page with the `next_cursor` of this one; null on the last page.',
      query: PageQuery,
      answers: { 200: NotificationsAnswer },
    }),
    handler: async (request) => {
      const identity = identityOf(request);
      const query = pageOf(request.query);
      const page = shown(await notifications.list(identity.sub, appOf(identity), query));
      return { notifications: page.rows.map(notificationView), next_cursor: page.nextCursor };
    },
  });
  app.route({
    method: 'POST',
    url: '/api/notifications/:id/read',
    config,
    schema: describeRoute({
      tag,
      summary: 'Mark a notification as read',
      params: IdParams,
      body: NoBody,
      optionalBody: true,
      answers: { 200: ReadAnswer },
      errors: ['notification_not_found'],
    }),
    handler: async (request) => {
      const identity = identityOf(request);
      const { id } = request.params;
      const row = ID.test(id)
        ? await notifications.markRead(identity.sub, appOf(identity), id)
        : null;
      if (!row) throw new ApiError('notification_not_found');
      return notificationView(row);
    },
  });
}

/** Drivers and customers have an app each, known from the role. */
export function appOf({ role }: Identity): App {
  if (role !== 'driver' && role !== 'customer') throw new ApiError('forbidden');
  return role;
}
