/** The result of a benchmark: one line per comparison, ours beside the peer of the same run. */

export interface BenchLine {
  /** Name of the comparison, e.g. `claims: 50 taps, ORM handler`. */
  bench: string;
  /** Medians over the runs, with their extremes. */
  ours: number;
  ours_min: number;
  ours_max: number;
  peer: number;
  peer_min: number;
  peer_max: number;
  unit: string;
  /** `ours / peer`; for units where less is better, less than 1 is good. */
  ratio: number;
  /** Which side limited the run, e.g. `Postgres commit`, `client process`. */
  bottleneck: string;
  /** Whatever else was counted, e.g. double assignments on each side. */
  notes: Record<string, number | string>;
}

/** Compares our figures with the peer's; both need at least one. */
export function compare(
  ours: readonly number[],
  peer: readonly number[],
  about: Pick<BenchLine, 'bench' | 'unit' | 'bottleneck' | 'notes'>,
): BenchLine {
  const [a, b] = [spread(ours), spread(peer)];
  return {
    bench: about.bench,
    ours: a.median,
    ours_min: a.min,
    ours_max: a.max,
    peer: b.median,
    peer_min: b.min,
    peer_max: b.max,
    unit: about.unit,
    ratio: Math.round((a.median / b.median) * 1000) / 1000,
    bottleneck: about.bottleneck,
    notes: { runs: Math.min(ours.length, peer.length), ...about.notes },
  };
}

/** With one decimal: more digits are noise. */
function spread(values: readonly number[]): { median: number; min: number; max: number } {
  const sorted = [...values].sort((x, y) => x - y);
  const round = (value = Number.NaN) => Math.round(value * 10) / 10;
  return {
    median: round(sorted[sorted.length >> 1]),
    min: round(sorted[0]),
    max: round(sorted.at(-1)),
  };
}
