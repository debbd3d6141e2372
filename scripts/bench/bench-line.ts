/** What a benchmark says: one line per comparison, ours beside the peer of the same run. */

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
