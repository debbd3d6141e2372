/** Which drivers have which phone: `good:80,slow:15,flaky:5`, in per cent of all. */
import type { PhoneKind } from './facts.ts';
import { UsageError } from './flags.ts';
import { type Random, sample } from './random.ts';

export type PhoneShares = Record<PhoneKind, number>;
export const ALL_GOOD: PhoneShares = { good: 100, slow: 0, flaky: 0 };

const KINDS: readonly string[] = Object.keys(ALL_GOOD);

/** Throws `UsageError` unless the kinds are known and add up to 100. */
export function parsePhones(text: string): PhoneShares {
  const shares = { good: 0, slow: 0, flaky: 0 };
  for (const part of text.split(',')) {
    const [, kind = '', share] = /^\s*([a-z]+):(\d+(?:\.\d+)?)%?\s*$/.exec(part) ?? [];
    if (!KINDS.includes(kind)) throw usage(text);
    shares[kind as PhoneKind] += Number(share);
  }
  if (Math.abs(shares.good + shares.slow + shares.flaky - 100) > 0.01) throw usage(text);
  return shares;
}

function usage(text: string): UsageError {
  return new UsageError(
    `--phones must be per cent of good, slow and flaky that add up to 100, like 'good:80,slow:15,flaky:5', not '${text}'`,
  );
}

/** The phone of each driver, by seeded chance. */
export function dealPhones(shares: PhoneShares, drivers: number, random: Random): PhoneKind[] {
  const phones = new Array<PhoneKind>(drivers).fill('good');
  const everybody = Array.from({ length: drivers }, (_, i) => i);
  const slow = Math.round((drivers * shares.slow) / 100);
  const flaky = Math.min(drivers - slow, Math.round((drivers * shares.flaky) / 100));
  const bad = sample(everybody, slow + flaky, random);
  for (const [i, driver] of bad.entries()) phones[driver] = i < slow ? 'slow' : 'flaky';
  return phones;
}
