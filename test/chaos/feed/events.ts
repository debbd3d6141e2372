/**
 * What happens to jobs meanwhile, through gateway B: posts, confirmations, cancels, and accepts by
 * drivers who do not watch. Where Redis is away no accept can be won, so the job is cancelled.
 */
import { type Answer, placeOf, TAKERS, type World } from './world.ts';

/** Calls at once: enough to be quick where each waits for a Redis that does not answer. */
const AT_ONCE = 60;

/** One customer may not call so often. */
const CUSTOMERS = 10;

/** Jobs ever posted in this world; each gets a place of its own. */
let posted = 0;

/** Posts jobs and resolves with their ids. */
export function post(world: World, count: number): Promise<string[]> {
  return inParallel(Array.from({ length: count }), async () => {
    const n = posted++;
    const { truckType, lat, lng } = placeOf(n);
    const answer = await world.call('customer', `c${n % CUSTOMERS}`, 'POST', '/api/jobs', {
      address: `${n} Main St`,
      lat,
      lng,
      total_price: 120,
      ...(truckType !== null && { truck_type: truckType }),
    });
    return expected(answer, 201).job.id as string;
  });
}

/**
 * Ends the jobs in `old`, posts 100 jobs, confirms and ends some: at least 200 events when `old`
 * has 40. Resolves with the number of events.
 */
export async function makeEvents(world: World, old: readonly string[]): Promise<number> {
  await inParallel(old, (id, n) => end(world, id, n));
  const fresh = await post(world, 100);
  const confirmed = fresh.filter((_, n) => n % 5 === 0);
  await inParallel(confirmed, async (id) => {
    expected(await world.call('operator', 'op', 'POST', `/api/jobs/${id}/confirm`, {}), 200);
  });
  const ended = fresh.filter((_, n) => n % 2 === 0);
  await inParallel(ended, (id, n) => end(world, id, n));
  return old.length + fresh.length + confirmed.length + ended.length;
}

/** Every other one is accepted by somebody, the rest is cancelled by an operator. */
async function end(world: World, id: string, n: number): Promise<void> {
  if (n % 2 === 0) {
    const taker = TAKERS[n % TAKERS.length] as string;
    const path = `/api/drivers/jobs/${id}/accept`;
    const { status } = await world.call('driver', taker, 'POST', path);
    if (status === 200) return;
  }
  expected(await world.call('operator', 'op', 'POST', `/api/jobs/${id}/cancel`, {}), 200);
}

function expected(answer: Answer, status: number): Answer['body'] {
  if (answer.status === status) return answer.body;
  throw new Error(`expected ${status}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

/** In the order of `items`, at most `AT_ONCE` at a time. */
async function inParallel<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return results;
}
