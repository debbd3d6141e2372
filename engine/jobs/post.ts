/**
 * Post: insert job, event and first wave in one statement, put the job, dispatch it.
 * A repeated call with the same `Idempotency-Key` answers with the first job.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type EngineContext, TryAgainError } from '../context.ts';
import type { Actor, JobRow } from '../domain/job.ts';
import { toJobId, WORLD, zoneOf } from '../domain/zones.ts';
import { isUniqueViolation } from '../pg/client.ts';
import { findIdempotent } from '../pg/idempotency.ts';
import { findJob, insertJob, insertOwnJob, type NewJob } from '../pg/jobs.ts';
import { runIdOf } from '../redis/client.ts';
import { publish } from './change.ts';
import { tryDispatchWave } from './dispatch.ts';

/** The caller has been told to try again after 10 s: a job posted later would be one that nobody asked for. */
const TURN_MAX_MS = 8000;

export interface PostInput {
  customerId: string;
  address: string;
  position: { lat: number; lng: number } | null;
  totalPrice: number;
  truckType: string | null;
  notes: string | null;
  /** Epoch ms, or null: the default lifetime. */
  expiresAt: number | null;
  actor: Actor;
  /** The caller's sub, his key, and the body it came with. */
  idempotency: { sub: string; key: string; body: object } | null;
}

export type PostResult =
  | { ok: true; created: boolean; job: JobRow }
  | { ok: false; code: 'idempotency_mismatch' | 'too_many_open_jobs' };

/**
 * The post verb of one process: posts a job; its dispatch goes on after the answer. Counted posts of
 * one customer queue here, so that they do not wait for each other's locks on connections that others
 * need. Throws `TryAgainError` for one whose turn did not come in time.
 */
export function createPosts(ctx: EngineContext): (input: PostInput) => Promise<PostResult> {
  const turns = new Map<string, Promise<unknown>>();
  return (input) => {
    if (!isByCustomer(input) || ctx.settings.customerMaxOpenJobs === 0) return postJob(ctx, input);
    const { customerId } = input;
    const cameAt = performance.now();
    const post = () => {
      if (performance.now() - cameAt < TURN_MAX_MS) return postJob(ctx, input);
      throw new TryAgainError('the posts of this customer take too long');
    };
    const turn = (turns.get(customerId) ?? Promise.resolve()).then(post, post);
    turns.set(customerId, turn);
    const end = () => {
      if (turns.get(customerId) === turn) turns.delete(customerId);
    };
    turn.then(end, end);
    return turn;
  };
}

/** Only what he posts with his own token counts. */
const isByCustomer = ({ actor, customerId }: PostInput) => actor === `customer:${customerId}`;

async function postJob(ctx: EngineContext, input: PostInput): Promise<PostResult> {
  const idempotency = input.idempotency && {
    sub: input.idempotency.sub,
    key: input.idempotency.key,
    bodyHash: hashBody(input.idempotency.body),
  };
  if (idempotency) {
    const earlier = await earlierPost(ctx, idempotency);
    if (earlier) return earlier;
  }
  // Asked before the insert: what is inserted later cannot have been closed under an earlier Redis.
  const run = ctx.redis.status === 'ready' ? runIdOf(ctx.redis) : null;
  let row: JobRow | null;
  try {
    row = await insert(ctx, input, idempotency);
  } catch (error) {
    // Another call with the same key was faster.
    const earlier =
      idempotency && isUniqueViolation(error) ? await earlierPost(ctx, idempotency) : null;
    if (earlier) return earlier;
    throw error;
  }
  if (!row) return { ok: false, code: 'too_many_open_jobs' };
  await publish(ctx, row, run);
  ctx.background(tryDispatchWave(ctx, row));
  return { ok: true, created: true, job: row };
}

function insert(
  ctx: EngineContext,
  input: PostInput,
  idempotency: { sub: string; key: string; bodyHash: string } | null,
): Promise<JobRow | null> {
  const now = ctx.now();
  const zone = input.position ? zoneOf(input.position) : WORLD;
  const step = ctx.settings.waves[0];
  const ttlMs = ctx.settings.jobDefaultTtlS * 1000;
  const expiresAt = input.expiresAt ?? (ttlMs > 0 ? now + ttlMs : null);
  const job: NewJob = {
    id: toJobId(zone, uuidV7(now)),
    zone,
    customerId: input.customerId,
    address: input.address,
    lat: input.position?.lat ?? null,
    lng: input.position?.lng ?? null,
    totalPrice: input.totalPrice,
    truckType: input.truckType,
    notes: input.notes,
    radiusKm: step?.radiusKm ?? ctx.settings.radiusKm,
    nextWaveS: step?.waitS ?? null,
    expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
    idempotency,
    actor: input.actor,
  };
  if (!isByCustomer(input)) return insertJob(ctx.db, job);
  return insertOwnJob(ctx.db, job, ctx.settings.customerMaxOpenJobs);
}

async function earlierPost(
  ctx: EngineContext,
  { sub, key, bodyHash }: { sub: string; key: string; bodyHash: string },
): Promise<PostResult | null> {
  const earlier = await findIdempotent(ctx.db, sub, key);
  if (!earlier) return null;
  if (earlier.bodyHash !== bodyHash) return { ok: false, code: 'idempotency_mismatch' };
  const job = await findJob(ctx.db, earlier.jobId);
  if (!job) return null;
  // The call that posted it may have failed before anybody was told.
  if (job.settledVersion < job.version) await publish(ctx, job);
  return { ok: true, created: false, job };
}

/** The same fields in another order are the same body; a field that is null is one that was left out. */
function hashBody(body: object): string {
  const given = Object.entries(body).filter(([, value]) => value !== null);
  const sorted = given.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex');
}

/** RFC 9562 UUID version 7: sorted by time, which keeps the index on jobs compact. */
export function uuidV7(now: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes.writeUInt8(((bytes[6] ?? 0) & 0x0f) | 0x70, 6);
  bytes.writeUInt8(((bytes[8] ?? 0) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [0, 8, 12, 16, 20].map((at, i, all) => hex.slice(at, all[i + 1])).join('-');
}
