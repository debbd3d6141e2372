/** Storms of reconnects: which share of the sockets is cut when, and whether they return in step. */

import { UsageError } from './flags.ts';
import type { Random } from './random.ts';
import { sample } from './random.ts';

export interface Storm {
  atS: number;
  /** Of all sockets, from 0 to 1. */
  share: number;
  /** All dial again at once, instead of with full jitter. */
  sync: boolean;
}

const USAGE = "must be like '30s:50%' or '30s:50%:sync'";

/** `30s:50%[:sync]`. Throws `UsageError`. */
export function parseStorm(text: string): Storm {
  const [, at, share, sync] = /^(\d+(?:\.\d+)?)s:(\d+(?:\.\d+)?)%(:sync)?$/.exec(text) ?? [];
  const storm = { atS: Number(at), share: Number(share) / 100, sync: sync !== undefined };
  if (storm.share > 0 && storm.share <= 1) return storm;
  throw new UsageError(`--storm ${USAGE}, not '${text}'`);
}

/** The people that a storm hits, by seeded chance. */
export function hitBy(storm: Storm, people: readonly number[], random: Random): number[] {
  return sample(people, Math.round(people.length * storm.share), random);
}
