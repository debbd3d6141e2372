/**
 * What the job scripts promise, as plain code over plain objects: one zone of one Redis. Written from
 * the scripts' headers, not from their bodies.
 */
import type { Refusal } from '../../../../engine/domain/visibility.ts';

export const JOBS = ['a', 'b'] as const;
export const DRIVERS = ['d1', 'd2', 'd3'] as const;
export type JobId = (typeof JOBS)[number];
export type Driver = (typeof DRIVERS)[number];

export interface Put {
  do: 'put';
  job: JobId;
  /** Beside the version that is stored, or 0. */
  ahead: number;
  to: { status: 'pending' | 'assigned' | 'accepted' | 'cancelled'; driver: Driver | '' };
  wave: number;
  /** Epoch ms in the past, or 0. */
  expires: number;
  refusals: [Driver, Refusal][];
  rebuilding: boolean;
  /** When the row was read: under this run of Redis, under an earlier one, or nobody knows. */
  read: 'now' | 'earlier' | 'any time';
}

/** One call of a script, or something that happens to Redis. */
export type Step =
  | Put
  /** The job's row again, with who must not see it. */
  | { do: 'sweep'; job: JobId; refusals: [Driver, Refusal][] }
  | { do: 'claim'; job: JobId; driver: Driver; leaseMs: number }
  /** By whoever got the token of the `nth` claim that was tried. */
  | { do: 'unclaim'; job: JobId; nth: number }
  | { do: 'refuse'; job: JobId; driver: Driver; kind: Refusal }
  /** The job's row is gone: as of the version that is stored, or of one before. */
  | { do: 'bury'; job: JobId; late: boolean }
  | { do: 'offer'; job: JobId; wave: number; reservedFor: Put['to']['driver'] }
  | { do: 'read' }
  /** The reconciler looks for leases that ran out. */
  | { do: 'overdue' }
  /** The same call as the `nth` one before, argument for argument. */
  | { do: 'replay'; nth: number }
  /** Redis comes back with what it holds from another server's life, or is filled under its own. */
  | { do: 'restart'; ready: boolean }
  | { do: 'forget' };

/** A step with everything decided: what is sent. */
export type Call =
  | (Omit<Put, 'ahead'> & { version: number })
  | { do: 'claim'; job: JobId; driver: Driver; leaseMs: number; token: string }
  | { do: 'unclaim'; job: JobId; token: string }
  | { do: 'bury'; job: JobId; version: number }
  | Exclude<Step, { do: 'put' | 'sweep' | 'claim' | 'unclaim' | 'bury' | 'replay' }>;

export interface ModelJob {
  version: number;
  state: 'open' | 'claiming' | 'closed' | 'gone';
  /** Nothing of one that is gone. */
  status: Put['to']['status'] | undefined;
  driver: Put['to']['driver'] | undefined;
  wave: number;
  expires: number;
  claimer: string;
  token: string;
  leaseOver: boolean;
}

export interface Model {
  ready: boolean;
  jobs: Map<JobId, ModelJob>;
  refused: Record<JobId, Map<string, Refusal>>;
  /** Bodies of the log. */
  log: object[];
}

export const emptyModel = (): Model => ({
  ready: true,
  jobs: new Map(),
  refused: { a: new Map(), b: new Map() },
  log: [],
});

/** What gateways are given of an open job. */
export const payloadOf = (job: JobId, version: number) => ({ job: { id: job }, version });

/** Changes the model as the call should, and returns what the call should answer. */
export function apply(model: Model, call: Call): unknown {
  switch (call.do) {
    case 'put':
      return put(model, call);
    case 'claim':
      return claim(model, call);
    case 'unclaim':
      return unclaim(model, call);
    case 'refuse':
      return refuse(model, call);
    case 'bury':
      return bury(model, call);
    case 'offer':
      return offer(model, call);
    case 'read':
      return model.ready ? opens(model).map((job) => [job, ...shown(model, job)]) : 'not ready';
    case 'overdue':
      return [...model.jobs].flatMap(([id, job]) => (job.leaseOver ? [id] : [])).sort();
    case 'restart':
      model.ready = call.ready;
      return undefined;
    case 'forget':
      Object.assign(model, emptyModel(), { ready: false });
      return undefined;
  }
}

function put(model: Model, call: Extract<Call, { do: 'put' }>): string {
  if (call.read === 'earlier' || (!call.rebuilding && !model.ready)) return 'not_ready';
  const { job: id, version, wave, expires } = call;
  const stored = model.jobs.get(id);
  const doubtful = call.rebuilding && stored?.version === version && stored.state !== 'claiming';
  if (stored && stored.version >= version && !doubtful) return complete(model, call, stored);
  const { status, driver } = call.to;
  const isOpen = status === 'pending' || status === 'assigned';
  if (!stored && isOpen && call.read !== 'now') return 'unknown';
  model.jobs.set(id, {
    version,
    state: isOpen ? 'open' : 'closed',
    status,
    driver,
    wave: isOpen ? wave : 0,
    expires: isOpen ? expires : 0,
    ...noClaim,
  });
  if (isOpen) {
    for (const [who, kind] of call.refusals) model.refused[id].set(who, kind);
    if (status === 'assigned') model.refused[id].delete(driver);
    model.log.push({ open: payloadOf(id, version), refused: refusedBy(model, id) });
  } else {
    model.log.push({ closed: { id, version, status, driver } });
  }
  return 'applied';
}

/** Of a row that is no news: refusals that are missing. */
function complete(model: Model, call: Extract<Call, { do: 'put' }>, stored: ModelJob): string {
  const { job: id, version, to } = call;
  const isOpen = to.status === 'pending' || to.status === 'assigned';
  if (stored.version > version || !isOpen || isOver(stored)) return 'old';
  let missing = 0;
  for (const [who, kind] of call.refusals) {
    const known = model.refused[id].get(who);
    if (known === kind || known === 'released') continue;
    if (to.status === 'assigned' && to.driver === who) continue;
    model.refused[id].set(who, kind);
    model.log.push({ refused: { id, driver: who, kind } });
    missing++;
  }
  return missing > 0 ? 'completed' : 'old';
}

const isOver = ({ state }: ModelJob) => state === 'closed' || state === 'gone';
const noClaim = { claimer: '', token: '', leaseOver: false };

function claim(model: Model, call: Extract<Call, { do: 'claim' }>): object {
  if (!model.ready) return { kind: 'not_ready' };
  const job = model.jobs.get(call.job);
  if (!job || job.state === 'gone') return { kind: 'ask' };
  if (job.state === 'closed') {
    if (job.driver === call.driver) return { kind: 'already_won', version: job.version };
    return { kind: 'closed', status: job.status, driverId: job.driver || null };
  }
  if (model.refused[call.job].get(call.driver) === 'released') return { kind: 'released' };
  if (job.state === 'claiming') {
    return job.claimer === call.driver
      ? { kind: 'claiming_already', version: job.version }
      : { kind: 'busy' };
  }
  if (job.status === 'assigned' && job.driver !== call.driver) return { kind: 'reserved' };
  if (job.expires !== 0) return { kind: 'ask' };
  job.state = 'claiming';
  job.claimer = call.driver;
  job.token = call.token;
  job.leaseOver = call.leaseMs < 0;
  return { kind: 'granted', version: job.version };
}

function unclaim(model: Model, call: Extract<Call, { do: 'unclaim' }>): boolean {
  const job = model.jobs.get(call.job);
  if (!model.ready || job?.state !== 'claiming' || job.token !== call.token) return false;
  Object.assign(job, noClaim, { state: 'open' });
  return true;
}

function refuse(model: Model, call: Extract<Call, { do: 'refuse' }>): string {
  if (!model.ready) return 'not_ready';
  const job = model.jobs.get(call.job);
  if (!job || isOver(job)) return 'nothing';
  if (model.refused[call.job].get(call.driver) === 'released') return 'nothing';
  model.refused[call.job].set(call.driver, call.kind);
  model.log.push({ refused: { id: call.job, driver: call.driver, kind: call.kind } });
  return 'applied';
}

function bury(model: Model, { job: id, version }: Extract<Call, { do: 'bury' }>): boolean {
  const job = model.jobs.get(id);
  if (job && (job.state === 'gone' || job.version !== version)) return false;
  model.refused[id].clear();
  if (!job) return false;
  const nobody = { status: undefined, driver: undefined, wave: 0, expires: 0 };
  model.jobs.set(id, { version: version + 1, state: 'gone', ...nobody, ...noClaim });
  if (job.state !== 'closed') {
    model.log.push({ closed: { id, version: version + 1, status: 'cancelled', driver: '' } });
  }
  return true;
}

function offer(model: Model, call: Extract<Call, { do: 'offer' }>): string {
  if (!model.ready) return 'not_ready';
  const job = model.jobs.get(call.job);
  if (!job || job.state === 'gone') return 'unknown';
  if (job.state === 'closed' || job.wave > call.wave || job.expires !== 0) return 'closed';
  if (job.state === 'claiming') return 'claiming';
  return job.status === 'assigned' && job.driver !== call.reservedFor ? 'reserved' : 'open';
}

/** In the order of their ids, as the index has them (all are at one place). */
export function opens(model: Model): JobId[] {
  return JOBS.filter((id) => {
    const job = model.jobs.get(id);
    return job && !isOver(job);
  });
}

function shown(model: Model, id: JobId): [object, object] {
  return [payloadOf(id, model.jobs.get(id)?.version ?? 0), refusedBy(model, id)];
}

export function refusedBy(model: Model, id: JobId): Record<string, Refusal> {
  return Object.fromEntries(model.refused[id]);
}
