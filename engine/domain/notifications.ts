/**
 * What people are told, word for word (contract section 6): one table for pushes and in-app
 * notifications alike.
 */
export type App = 'driver' | 'customer';

/** `{address}` in a body stands for the job's address. */
const TEXTS = {
  driver_assigned: {
    title: 'Driver Assigned',
    body: 'A driver has accepted your job!',
  },
  job_released: {
    title: 'Looking for Another Driver',
    body: 'Your driver gave {address} back. We are offering it again.',
  },
  job_expired: { title: 'Job Expired', body: 'No driver took {address} in time.' },
  job_completed: { title: 'Job Completed', body: '{address} is done.' },
  job_cancelled: { title: 'Job Cancelled', body: '{address} was cancelled.' },
  job_withdrawn: {
    title: 'Job Withdrawn',
    body: '{address} was given back, it is no longer yours.',
  },
} as const satisfies Record<string, { title: string; body: string }>;
export type NotificationType = keyof typeof TEXTS;

/** The title and the body of a kind of notification. */
export function textOf(type: NotificationType): { title: string; body: string } {
  return TEXTS[type];
}

/** The driver's push when a wave opens; the price as JSON prints it. */
export function newJobAlert(address: string, totalPrice: number): { title: string; body: string } {
  return { title: 'New Job Nearby', body: `${address} - $${JSON.stringify(totalPrice)}` };
}
