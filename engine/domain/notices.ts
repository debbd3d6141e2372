/**
 * What people are told, word for word (contract section 6): one table for pushes and in-app
 * notifications alike.
 */
export type App = 'driver' | 'customer';
export type NoticeType =
  | 'driver_assigned'
  | 'job_released'
  | 'job_expired'
  | 'job_completed'
  | 'job_cancelled'
  | 'job_withdrawn';

/** A notification to be stored with the change that causes it. */
export interface Notice {
  userId: string;
  app: App;
  type: NoticeType;
  title: string;
  body: string;
}

const TEXTS: Record<NoticeType, { title: string; body: (address: string) => string }> = {
  driver_assigned: {
    title: 'Driver Assigned',
    body: () => 'A driver has accepted your job!',
  },
  job_released: {
    title: 'Looking for Another Driver',
    body: (address) => `Your driver gave ${address} back. We are offering it again.`,
  },
  job_expired: {
    title: 'Job Expired',
    body: (address) => `No driver took ${address} in time.`,
  },
  job_completed: {
    title: 'Job Completed',
    body: (address) => `${address} is done.`,
  },
  job_cancelled: {
    title: 'Job Cancelled',
    body: (address) => `${address} was cancelled.`,
  },
  job_withdrawn: {
    title: 'Job Withdrawn',
    body: (address) => `${address} was given back and is no longer yours.`,
  },
};

/** The notice of one kind about one job to one person. */
export function noticeOf(type: NoticeType, app: App, userId: string, address: string): Notice {
  const text = TEXTS[type];
  return { userId, app, type, title: text.title, body: text.body(address) };
}

/** The driver's push when a wave opens; the price as JSON prints it. */
export function newJobAlert(address: string, totalPrice: number): { title: string; body: string } {
  return { title: 'New Job Nearby', body: `${address} - $${JSON.stringify(totalPrice)}` };
}
