/**
 * Seeded chance: the same seed chooses the same, so that a run can be repeated. Used by the
 * replay for taps and by the demo for its city. Not for secrets.
 */
export type Random = () => number;

/** Numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Up to `count` different items, in random order. */
export function sample<T>(items: readonly T[], count: number, random: Random): T[] {
  const rest = [...items];
  const chosen = Math.min(count, rest.length);
  for (let i = 0; i < chosen; i++) {
    const j = i + Math.floor(random() * (rest.length - i));
    [rest[i], rest[j]] = [rest[j] as T, rest[i] as T];
  }
  return rest.slice(0, chosen);
}
