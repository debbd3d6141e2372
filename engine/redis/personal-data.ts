/**
 * Removes a user from every key of ours in Redis, which is a projection of Postgres and is filled again
 * without him. Push queues are included; their keys are known by their prefix alone.
 */
import type { RedisClient } from './client.ts';
import { scanKeys } from './scan.ts';

/** Where Muster keeps keys: its own and those of its queues. */
const PATTERNS = ['muster:*', '{muster-push-*'];
const PAGE = 500;
/** Keys that are about one thing each: a mention of him removes the whole key. */
const WHOLE = /^(muster:\{[^}]*\}:job:|\{muster-push-[^}]*\}:[^:]+:[^:]+$)/;
/** A queue's own data, beside its tasks. */
const QUEUE_META =
  /:(meta|id|events|wait|paused|active|completed|failed|delayed|prioritized|marker|pc|stalled|stalled-check|repeat|limiter)$/;
const JOB_ID = /(?:world|[0-9a-f]{15})-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

export interface Mentions {
  /** Matches his id as a word, not as a part of another id. */
  userId: string;
  /** Jobs with texts of his. */
  jobIds: ReadonlySet<string>;
}

/** Removes every mention of him. Returns how many entries were removed. */
export async function eraseFromKeys(redis: RedisClient, mentions: Mentions): Promise<number> {
  const isAbout = createMatcher(mentions);
  const { userId, jobIds } = mentions;
  const isNamed = (key: string) => key.includes(`{${userId}}`) || isOfJobs(key, jobIds);
  const tasks = new Set<string>();
  let removed = 0;
  for (const pattern of PATTERNS) {
    for await (const page of scanKeys(redis, pattern)) {
      removed += await each(page, (key) =>
        isNamed(key) ? eraseWhole(redis, key, tasks) : eraseFrom(redis, key, isAbout, tasks),
      );
    }
  }
  // A removed task must not stay in its queue's lists.
  if (tasks.size > 0) {
    const isGone = (text: string) => tasks.has(text);
    for await (const page of scanKeys(redis, '{muster-push-*')) {
      removed += await each(page, (key) => eraseFrom(redis, key, isGone, new Set()));
    }
  }
  return removed;
}

type Matcher = (text: string) => boolean;

/** Field names are no mention: a user may be called like one. */
function createMatcher({ userId, jobIds }: Mentions): Matcher {
  const word = new RegExp(`(?<![A-Za-z0-9_-])${userId}(?![A-Za-z0-9_-]|"\\s*:)`);
  return (text) => word.test(text) || isOfJobs(text, jobIds);
}

function isOfJobs(text: string, jobIds: ReadonlySet<string>): boolean {
  return jobIds.size > 0 && (text.match(JOB_ID) ?? []).some((id) => jobIds.has(id));
}

async function eraseFrom(
  redis: RedisClient,
  key: string,
  isAbout: Matcher,
  tasks: Set<string>,
): Promise<number> {
  switch (await redis.type(key)) {
    case 'string':
      return isAbout((await redis.get(key)) ?? '') ? redis.del(key) : 0;
    case 'hash':
      return eraseFromHash(redis, key, isAbout, tasks);
    case 'set':
      return each((await redis.smembers(key)).filter(isAbout), (one) => redis.srem(key, one));
    case 'zset':
      return each((await redis.zrange(key, '0', '-1')).filter(isAbout), (one) =>
        redis.zrem(key, one),
      );
    case 'list':
      return each((await redis.lrange(key, 0, -1)).filter(isAbout), (one) =>
        redis.lrem(key, 0, one),
      );
    case 'stream':
      return eraseFromStream(redis, key, isAbout);
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
  const about = fields.filter(([field, value]) => isAbout(field) || isAbout(value));
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

async function eraseFromStream(redis: RedisClient, key: string, isAbout: Matcher): Promise<number> {
  let removed = 0;
  let from = '-';
  for (;;) {
    const entries: [string, string[]][] = await redis.xrange(key, from, '+', 'COUNT', PAGE);
    const about = entries.filter(([, fields]) => fields.some(isAbout)).map(([id]) => id);
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
