/** CPU seconds that each part of a deployment has used, by Linux's own count. */
import { childrenOf } from '../../dev/process-table.ts';
import { cpuSecondsOf } from '../process-usage.ts';

export const PARTS = ['api', 'worker', 'redis', 'postgres'] as const;
export type Part = (typeof PARTS)[number];
export type PerPart = Record<Part, number>;

/** How often to sample: a Postgres process that ends between two samples is not counted. */
const LOOK_MS = 500;

export interface Usage {
  seconds(): PerPart;
  stop(): void;
}

export function watchUsage(pids: Record<Part, number | undefined>): Usage {
  const seen = new Map<number, number>();
  const look = () => {
    if (pids.postgres === undefined) return;
    for (const pid of [pids.postgres, ...childrenOf(pids.postgres)]) {
      // One that has ended meanwhile says 0.
      seen.set(pid, Math.max(seen.get(pid) ?? 0, cpuSecondsOf(pid)));
    }
  };
  const timer = setInterval(look, LOOK_MS);
  return {
    seconds() {
      look();
      return {
        api: cpuSecondsOf(pids.api),
        worker: cpuSecondsOf(pids.worker),
        redis: cpuSecondsOf(pids.redis),
        postgres: [...seen.values()].reduce((sum, one) => sum + one, 0),
      };
    },
    stop: () => clearInterval(timer),
  };
}

export function perPart(of: (part: Part) => number): PerPart {
  return Object.fromEntries(PARTS.map((part) => [part, of(part)])) as PerPart;
}
