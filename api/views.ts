/**
 * What callers see of a row: one function each, so that a private field cannot slip into one answer and
 * not the other. Jobs have such functions in the engine. Used by the routes and by the feed.
 */
import { type JobRow, toTime } from '../engine/domain/job.ts';
import type { AttemptRow } from '../engine/domain/push.ts';
import type { Driver } from '../engine/domain/shapes.ts';
import type {
  ChangeResult,
  DriverRow,
  JobEventRow,
  NotificationRow,
  Reader,
} from '../engine/engine.ts';
import type { Identity } from './auth.ts';
import { ApiError } from './errors.ts';

export function driverView(row: DriverRow): Driver {
  return {
    id: row.id,
    name: row.name,
    truck_type: row.truckType,
    approval_status: row.approvalStatus,
    is_operator: row.isOperator,
    online: row.online,
  };
}

/** May the caller see the job at all? Somebody else's job does not exist for him. */
export function maySee(row: JobRow, { sub, role }: Identity): boolean {
  if (role === 'driver') return row.driverId === sub;
  if (role === 'customer') return row.customerId === sub;
  return true;
}

/** Does this caller see the owner's view of a job or the driver's? */
export const readerOf = ({ role }: Identity): Reader => (role === 'driver' ? 'driver' : 'owner');

export function notificationView(row: NotificationRow): object {
  return {
    id: row.id,
    type: row.type,
    title: row.title,
    body: row.body,
    data: row.data,
    created_at: toTime(row.createdAt),
    read_at: row.readAt === null ? null : toTime(row.readAt),
  };
}

/** What happened to a job, oldest first; push attempts only for callers who may see them. */
export function timelineView(
  transitions: readonly JobEventRow[],
  attempts: readonly AttemptRow[],
): object[] {
  const events = [
    ...transitions.map((row) => ({ at: row.at, view: transitionView(row) })),
    ...attempts.map((row) => ({ at: row.at, view: attemptView(row) })),
  ];
  return events.sort((a, b) => a.at - b.at).map(({ view }) => view);
}

function transitionView(row: JobEventRow): object {
  return {
    type: row.type,
    at: toTime(row.at),
    version: row.version,
    status: row.status,
    ...(row.driverId !== null && { driver_id: row.driverId }),
    actor: row.actor,
    ...(row.reason !== null && { reason: row.reason }),
  };
}

function attemptView(row: AttemptRow): object {
  return {
    type: 'push.attempted',
    at: toTime(row.at),
    user_id: row.userId,
    role: row.app,
    lane: row.lane,
    kind: row.kind,
    ...(row.wave > 0 && { wave: row.wave }),
    token_suffix: row.tokenSuffix,
    outcome: row.outcome,
    ...(row.status !== null && { status: row.status }),
    ...(row.reason !== null && { reason: row.reason }),
    apns_id: row.apnsId,
    ...(row.apnsUniqueId !== null && { apns_unique_id: row.apnsUniqueId }),
  };
}

/** The row after a change; throws the refusal if there is one. */
export function changed(result: ChangeResult): JobRow {
  if (!result.ok) throw new ApiError(result.code);
  return result.job;
}
