/**
 * The people of a deployment, as cheap as possible, in a process of their own: drivers who listen and
 * report positions, customers who post. Over its channel it is told what happens each second.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { callHttp } from '../../client/http.ts';
import { Listener } from '../fanout/listener.ts';

export type LoadOrder =
  | { order: 'open'; url: string; drivers: string[]; customers: string[] }
  | { order: 'run'; forMs: number; load: Load; here: { lat: number; lng: number } };

/** What happens each second; each job is taken by its first tap and completed. */
export interface Load {
  fixes: number;
  jobs: number;
  /** Taps of each job after it was taken. */
  losers: number;
}

/** What has happened, counted by the answers. */
export interface Happened {
  seconds: number;
  fixes: number;
  jobs: number;
  taps: number;
  /** Jobs that reached a socket. */
  offers: number;
}

const TICK_MS = 20;
const OPENING = 50;
const NEAR_DEGREES = 0.01;
const TRIES = 100;
const PAUSE_MS = 300;
/** Generous: on a busy machine answers come late. */
const CALL_MS = 60_000;
/** By then every phone has been told. */
const FIRST_TAP_MS = 2000;

let url = '';
let listeners: Listener[] = [];
let tokens: { drivers: string[]; customers: string[] } = { drivers: [], customers: [] };
let offers = 0;

process.on('message', async (order: LoadOrder) => {
  if (order.order === 'open') await open(order);
  process.send?.(order.order === 'run' ? await run(order) : {});
});

/** Earlier listeners are gone. */
async function open(order: Extract<LoadOrder, { order: 'open' }>): Promise<void> {
  for (const listener of listeners) listener.close();
  listeners = [];
  ({ url } = order);
  tokens = order;
  const port = Number(new URL(url).port);
  const left = [...order.drivers];
  const lane = async () => {
    for (let token = left.pop(); token !== undefined; token = left.pop()) {
      const listener = new Listener(
        { port, protocol: 'muster', token },
        {
          delivered: () => offers++,
          failed: (why) => {
            throw new Error(why);
          },
        },
      );
      listeners.push(listener);
      await listener.ready;
    }
  };
  await Promise.all(Array.from({ length: OPENING }, lane));
}

async function run({ forMs, load, here }: Extract<LoadOrder, { order: 'run' }>): Promise<Happened> {
  const happened: Happened = { seconds: 0, fixes: 0, jobs: 0, taps: 0, offers: 0 };
  const lives: Promise<void>[] = [];
  offers = 0;
  const began = performance.now();
  for (let ms = 0; ms < forMs; ms = performance.now() - began) {
    for (const due = (ms / 1000) * load.fixes; happened.fixes < due; happened.fixes++) {
      const lat = here.lat + NEAR_DEGREES * Math.random();
      const lng = here.lng + NEAR_DEGREES * Math.random();
      const fix = JSON.stringify({ event: 'location', data: { lat, lng } });
      listeners[happened.fixes % listeners.length]?.send(fix);
    }
    for (const due = (ms / 1000) * load.jobs; happened.jobs < due; happened.jobs++) {
      lives.push(live(happened.jobs, load.losers, here));
      happened.taps += load.losers;
    }
    await sleep(TICK_MS);
  }
  await Promise.all(lives);
  return { ...happened, offers, seconds: (performance.now() - began) / 1000 };
}

/** A job from its post to its end. */
async function live(n: number, losers: number, here: { lat: number; lng: number }): Promise<void> {
  const customer = tokens.customers[n % tokens.customers.length] ?? '';
  const driver = (i: number) => tokens.drivers[(n + i) % tokens.drivers.length] ?? '';
  const body = { address: '1 Main St', total_price: 120, ...here };
  const posted = await call('/api/jobs', customer, 201, body);
  const { id } = (posted as { job: { id: string } }).job;
  await sleep(FIRST_TAP_MS);
  await call(`/api/drivers/jobs/${id}/accept`, driver(0), 200);
  await Promise.all(
    Array.from({ length: losers }, (_, i) =>
      call(`/api/drivers/jobs/${id}/accept`, driver(1 + i), 409),
    ),
  );
  await call(`/api/drivers/jobs/${id}/status`, driver(0), 200, { status: 'completed' });
}

/** As apps do: a 503 promises nothing, and is asked again. */
async function call(path: string, token: string, status: number, body?: object): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    const answer = await callHttp(url, {
      ...{ method: 'POST', path, token, timeoutMs: CALL_MS },
      ...(body && { body }),
    });
    if (answer.status === status) return answer.body;
    if (answer.status !== 503 || tries === TRIES) {
      throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
    await sleep(PAUSE_MS);
  }
}
