/**
 * Removes a user from every key of ours in Redis, which is a projection of Postgres and is filled again
 * without him. Push queues are included; their keys are known by their prefix alone.
 */
import type { RedisClient } from './client.ts';
import { createMatcher, isKeyOf, type Matcher, type Mentions } from './mentions.ts';
import { scanKeys } from './scan.ts';

/** Where Muster keeps keys: its own and those of its queues. */
const PATTERNS = ['muster:*', '{muster-push-*'];
const PAGE = 500;
/** Keys that are about one thing each: a mention of him removes the whole key. */
const WHOLE = /^(muster:\{[^}]*\}:job:|\{muster-push-[^}]*\}:[^:]+:[^:]+$)/;
/** A queue's own data, beside its tasks. */
const QUEUE_META =
  /:(meta|id|events|wait|paused|active|completed|failed|delayed|prioritized|marker|pc|stalled|stalled-check|repeat|limiter)$/;

/** Removes every mention of him. Returns how many entries were removed. */
export async function eraseFromKeys(redis: RedisClient, mentions: Mentions): Promise<number> {
  const isAbout = createMatcher(mentions);
  const tasks = new Set<string>();
  let removed = 0;
  for (const pattern of PATTERNS) {
    for await (const page of scanKeys(redis, pattern)) {
      removed += await each(page, (key) =>
        isKeyOf(key, mentions)
          ? eraseWhole(redis, key, tasks)
          : eraseFrom(redis, key, isAbout, tasks),
      );
    }
  }
  // A removed task must not stay in its queue's lists.
  if (tasks.size > 0) {
    const isGone: Matcher = (_, text, field = '') => tasks.has(text) || tasks.has(field);
    for await (const page of scanKeys(redis, '{muster-push-*')) {
      removed += await each(page, (key) => eraseFrom(redis, key, isGone, new Set()));
    }
  }
  return removed;
}

async function eraseFrom(
  redis: RedisClient,
  key: string,
  isAbout: Matcher,
  tasks: Set<string>,
): Promise<number> {
  const isHis = (text: string) => isAbout(key, text);
  switch (await redis.type(key)) {
    case 'string':
      return isHis((await redis.get(key)) ?? '') ? redis.del(key) : 0;
    case 'hash':
      return eraseFromHash(redis, key, isAbout, tasks);
    case 'set':
      return each((await redis.smembers(key)).filter(isHis), (one) => redis.srem(key, one));
    case 'zset':
      return each((await redis.zrange(key, '0', '-1')).filter(isHis), (one) =>
        redis.zrem(key, one),
      );
    case 'list':
      return each((await redis.lrange(key, 0, -1)).filter(isHis), (one) => redis.lrem(key, 0, one));
    case 'stream':
      return eraseFromStream(redis, key, isHis);
    default:
      return 0;
  }
}

async function eraseFromHash(
  redis: RedisClient,
  key: string,
  isAbout: Matcher,
  tasks: Set<string>,
): Promise<number> {
  const fields = Object.entries(await redis.hgetall(key));
  const about = fields.filter(([field, value]) => isAbout(key, value, field));
  if (about.length === 0) return 0;
  if (!WHOLE.test(key) || QUEUE_META.test(key)) {
    return each(about, ([field]) => redis.hdel(key, field));
  }
  return eraseWhole(redis, key, tasks);
}

function eraseWhole(redis: RedisClient, key: string, tasks: Set<string>): Promise<number> {
  if (key.startsWith('{muster-push-')) tasks.add(key.slice(key.lastIndexOf(':') + 1));
  return redis.del(key);
}

async function eraseFromStream(
  redis: RedisClient,
  key: string,
  isHis: (text: string) => boolean,
): Promise<number> {
  let removed = 0;
  let from = '-';
  for (;;) {
    const entries: [string, string[]][] = await redis.xrange(key, from, '+', 'COUNT', PAGE);
    const about = entries.filter(([, fields]) => fields.some(isHis)).map(([id]) => id);
    if (about.length > 0) removed += await redis.xdel(key, ...about);
    const last = entries.at(-1)?.[0];
    if (entries.length < PAGE || last === undefined) return removed;
    from = `(${last}`;
  }
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<number>): Promise<number> {
  let sum = 0;
  for (const item of items) sum += await work(item);
  return sum;
}
