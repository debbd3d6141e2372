/** The same calls at the real scripts on a real Redis, and all that it holds afterwards. */
import { type RedisClient, runIdOf } from '../../../../engine/redis/client.ts';
import {
  claimJob,
  putJob,
  readJobs,
  refuseJob,
  unclaimJob,
} from '../../../../engine/redis/job-scripts.ts';
import { keys, zoneLog } from '../../../../engine/redis/keys.ts';
import { checkOffer } from '../../../../engine/redis/offer-script.ts';
import { emptyRedis } from '../../../support/redis-keys.ts';
import {
  type Call,
  JOBS,
  type JobId,
  type Model,
  opens,
  type Put,
  payloadOf,
  refusedBy,
} from './model.ts';

const zone = '832830fffffffff';
const log = zoneLog(zone);
const HERE = { lat: 37.77, lng: -122.41 };

/** Makes the call and returns its answer in the model's words. */
export async function call(redis: RedisClient, c: Call): Promise<unknown> {
  switch (c.do) {
    case 'put':
      return putJob(redis, {
        zone,
        id: c.job,
        version: c.version,
        wave: c.wave,
        claimable: c.to.status === 'pending' || c.to.status === 'assigned',
        status: c.to.status,
        driverId: c.to.driver || null,
        position: HERE,
        payload: JSON.stringify(payloadOf(c.job, c.version)),
        expiresAt: c.expires || null,
        refusals: c.refusals,
        rebuilding: c.rebuilding,
        readUnder: readUnder(redis, c.read),
      });
    case 'claim': {
      const { job: id, driver: driverId, token, leaseMs } = c;
      return claimJob(redis, { zone, id, driverId, token, leaseMs });
    }
    case 'unclaim':
      return unclaimJob(redis, { zone, id: c.job, token: c.token });
    case 'refuse':
      return refuseJob(redis, { zone, id: c.job, driverId: c.driver, kind: c.kind });
    case 'offer':
      return checkOffer(redis, {
        zone,
        jobId: c.job,
        wave: c.wave,
        reservedFor: c.reservedFor || null,
      });
    case 'read': {
      const { ready, jobs } = await readJobs(redis, zone, null);
      if (!ready) return 'not ready';
      return jobs.map(({ payload, refused }) => {
        const open = JSON.parse(payload) as { job: { id: JobId } };
        return [open.job.id, open, pairs(refused)];
      });
    }
    case 'overdue':
      return redis.zrangebyscore(keys.claims(zone), 0, Date.now()).then((ids) => ids.sort());
    case 'restart':
      await redis.hset(log.meta, 'ready', c.ready ? runIdOf(redis) : 'another server');
      return undefined;
    case 'forget':
      await emptyRedis(redis);
      return undefined;
  }
}

function readUnder(redis: RedisClient, read: Put['read']): string | null {
  if (read === 'any time') return null;
  return read === 'now' ? runIdOf(redis) : 'another server';
}

/** All that Redis holds of the zone, in one answer. */
export async function look(redis: RedisClient): Promise<object> {
  const ask = redis.pipeline();
  for (const id of JOBS) {
    ask.hgetall(keys.job(zone, id)).ttl(keys.job(zone, id));
    ask.hgetall(keys.declined(zone, id)).ttl(keys.declined(zone, id));
  }
  ask.zrange(keys.claims(zone), '0', '-1').zrange(keys.openJobs(zone), '0', '-1');
  ask.hget(log.meta, 'last').xlen(log.log).xrevrange(log.log, '+', '-', 'COUNT', 2);
  const replies = (await ask.exec()) ?? [];
  let at = 0;
  const next = <T>() => replies[at++]?.[1] as T;
  const jobs = JOBS.map((id) => ({
    id,
    job: readJob(next<Record<string, string>>(), next<number>()),
    refused: next<Record<string, string>>(),
    // A set that is not there has no lifetime.
    refusedForget: next<number>() > 0,
  }));
  const [claims, open] = [next<string[]>().sort(), next<string[]>().sort()];
  const last = next<string | null>();
  const length = next<number>();
  const [newest, before] = next<[string, string[]][]>();
  return {
    jobs,
    claims,
    open,
    length,
    chained: (newest?.[0] ?? null) === last && (newest?.[1][1] ?? '0-0') === (before?.[0] ?? '0-0'),
    newest: newest && readBody(newest[1][3] as string),
  };
}

/** What `look` should find. */
export function expected(model: Model): object {
  return {
    jobs: JOBS.map((id) => {
      const job = model.jobs.get(id);
      return {
        id,
        job: job && {
          version: job.version,
          state: job.state,
          status: job.status,
          driver: job.driver,
          wave: job.wave,
          claimer: job.claimer,
          token: job.token,
          forget: job.state === 'closed',
        },
        refused: refusedBy(model, id),
        refusedForget: job?.state === 'closed' && model.refused[id].size > 0,
      };
    }),
    claims: JOBS.filter((id) => model.jobs.get(id)?.state === 'claiming'),
    open: opens(model),
    length: model.log.length,
    chained: true,
    newest: model.log.at(-1),
  };
}

function readJob(hash: Record<string, string>, ttl: number): object | undefined {
  if (Object.keys(hash).length === 0) return undefined;
  const { version, state, status, driver, wave = 0, claimer = '', token = '' } = hash;
  const forget = ttl > 0;
  return {
    version: Number(version),
    state,
    status,
    driver,
    wave: Number(wave),
    claimer,
    token,
    forget,
  };
}

function readBody(body: string): object {
  const entry = JSON.parse(body) as { open?: object; refused?: string[] };
  return entry.open ? { ...entry, refused: pairs(entry.refused ?? []) } : entry;
}

function pairs(list: readonly string[]): Record<string, string> {
  const entries = list.flatMap((key, i) => (i % 2 === 0 ? [[key, list[i + 1] as string]] : []));
  return Object.fromEntries(entries);
}
