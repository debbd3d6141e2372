/** Carries out the planned faults, one after the other, and interrupts claims beside them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Interruption } from './commit-proxy.ts';
import type { Deployment } from './deployment.ts';
import type { InterruptionKind, Plan, PlannedFault } from './plan.ts';

export interface Struck {
  /** Faults by kind, as they happened. */
  counts: Map<string, number>;
  /** Claims struck between the gate and put-job. */
  interrupted: number;
  /** From when to when something was away, epoch ms. */
  windows: { kind: string; from: number; to: number }[];
}

const WHEN: Record<InterruptionKind, Interruption> = {
  'cut before the commit': 'before',
  'cut during the commit': 'during',
  'cut after the commit': 'after',
  'api killed before the commit': 'before',
  'api killed during the commit': 'during',
};

export async function strike(deployment: Deployment, plan: Plan): Promise<Struck> {
  const struck: Struck = { counts: new Map(), interrupted: 0, windows: [] };
  const count = (kind: string) => struck.counts.set(kind, (struck.counts.get(kind) ?? 0) + 1);
  const window = (kind: string, from: number) => {
    struck.windows.push({ kind, from, to: Date.now() });
  };
  const kills: Promise<void>[] = [];
  const started = performance.now();
  const at = (ms: number) => sleep(Math.max(0, ms - (performance.now() - started)));

  const faults = async () => {
    for (const fault of plan.faults) {
      await at(fault.atMs);
      const from = Date.now();
      await inflict(deployment, fault);
      count(fault.kind);
      window(fault.kind, from);
    }
  };
  const interruptions = async () => {
    for (const { atMs, kind, api } of plan.interruptions) {
      await at(atMs);
      deployment.proxies[api]?.arm(WHEN[kind], () => {
        struck.interrupted++;
        count(kind);
        if (WHEN[kind] === 'after') deployment.cutRedisOf(api);
        if (!kind.startsWith('api killed')) return;
        const from = Date.now();
        deployment.killApi(api);
        kills.push(deployment.whole().then(() => window(kind, from)));
      });
    }
  };
  await Promise.all([faults(), interruptions()]);
  await Promise.all([deployment.whole(), ...kills]);
  return struck;
}

async function inflict(deployment: Deployment, fault: PlannedFault): Promise<void> {
  switch (fault.kind) {
    case 'api killed':
      deployment.killApi(fault.process);
      return deployment.whole();
    case 'worker killed':
      return deployment.killWorker(fault.process);
    case 'Redis killed, empty':
      return deployment.redis.restartEmpty();
    case 'Redis killed, older copy':
      return deployment.redis.restartWithOlderCopy(fault.forMs);
    case 'Redis frozen':
      return deployment.redis.freeze(fault.forMs);
    case 'Redis cut':
      return deployment.cutRedis(fault.forMs);
    case 'primary killed':
      return deployment.redis.killPrimary();
    case 'slots moved':
      return deployment.redis.moveSlots();
    case 'Postgres killed':
      return deployment.restartPostgres();
    case 'Postgres frozen':
      return deployment.freezePostgres(fault.forMs);
  }
}
