/**
 * The simulated customers: one for each job, with a phone that can be pushed and, while the number
 * of open sockets allows it, the app open until the job is over. Driven by the play.
 */

import { isActive } from '../../engine/domain/job.ts';
import {
  type CustomerClient,
  createCustomerClient,
  type PostResult,
} from '../client/customer-client.ts';
import type { Caller } from './caller.ts';
import { deviceToken } from './fleet.ts';
import type { JobTrack } from './history.ts';

/** The drivers' sockets are what is measured; customers beyond this rely on their pushes. */
const SOCKETS_MAX = 200;
/** Prices repeat; what matters is that they are made up and legal. */
const PRICE_MIN = 40;
const PRICES = 160;

export interface Customers {
  /** How many were connected when they posted. */
  readonly connected: number;
  /** Posts the job of `track` and notes what came of it; never throws. */
  post(track: JobTrack, note: string): Promise<void>;
  close(): void;
}

export function createCustomers(caller: Caller): Customers {
  const open = new Set<CustomerClient>();
  let connected = 0;
  let posts = 0;
  let closed = false;

  function leave(client: CustomerClient): void {
    open.delete(client);
    client.close();
  }

  async function connect(client: CustomerClient, track: JobTrack): Promise<void> {
    open.add(client);
    client.events.on('assigned', () => {
      track.customerToldMs ??= performance.now();
    });
    client.events.on('status', ({ status }) => {
      if (!isActive(status)) leave(client);
    });
    await client.connect();
    connected += 1;
    // Whoever was on his way when the others left leaves as well.
    if (closed) leave(client);
  }

  async function post(track: JobTrack, note: string): Promise<void> {
    posts += 1;
    const client = createCustomerClient({
      url: caller.urlFor(posts),
      getToken: () => caller.token('customer', track.customer),
    });
    try {
      await caller.call('customer', track.customer, {
        method: 'POST',
        path: '/api/push/tokens',
        body: { token: deviceToken(track.customer) },
      });
      if (open.size < SOCKETS_MAX && !closed) await connect(client, track);
      track.postedMs = performance.now();
      notePost(track, await client.post(newJob(posts, track, note)));
    } catch (error) {
      track.postError = (error as Error).message;
      leave(client);
    }
  }

  return {
    get connected() {
      return connected;
    },
    post,
    close() {
      closed = true;
      for (const client of [...open]) leave(client);
    },
  };
}

function newJob(n: number, track: JobTrack, note: string) {
  return {
    address: `${n} Market Street`,
    lat: track.lat,
    lng: track.lng,
    total_price: PRICE_MIN + (n % PRICES),
    notes: note,
  };
}

function notePost(track: JobTrack, result: PostResult): void {
  if (result.ok) track.id = result.job.id;
  else track.postError = result.code;
}
