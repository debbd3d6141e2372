/**
 * What a process measured over the last hour, as far as alarms need it: a sample of its metrics every few
 * seconds, and the sums and differences that Prometheus would compute.
 */
import type { EngineMetrics, Measure } from '../context.ts';

/** The longest time that an alarm looks back. */
const KEPT_S = 3600;

type Filter = (labels: Measure['labels']) => boolean;

export interface Window {
  /** The sum of a metric's values now; null where the process has no such metric. */
  now(metric: string, of?: Filter): number | null;
  /** How much that sum grew in the last seconds, or since the process started. */
  increase(metric: string, seconds: number, of?: Filter): number | null;
  /** The lowest value of the sum in the last seconds. */
  lowest(metric: string, seconds: number, of?: Filter): number | null;
  /** How much a histogram's buckets grew: upper bounds with the counts up to there. */
  buckets(metric: string, seconds: number): Record<string, number>;
}

export interface SampledWindow extends Window {
  /** Reads the metrics; `now` in ms, of a monotonic clock. */
  sample(now: number): Promise<void>;
}

interface Sample {
  at: number;
  values: ReadonlyMap<string, readonly Measure[]>;
}

const ANY: Filter = () => true;

/** Samples these metrics of a process. */
export function createWindow(metrics: EngineMetrics, names: readonly string[]): SampledWindow {
  const samples: Sample[] = [];

  const last = () => samples.at(-1);
  /** The samples of the last seconds, and the one before them to compare with. */
  function since(seconds: number): Sample[] {
    const from = (last()?.at ?? 0) - seconds * 1000;
    const first = samples.findIndex(({ at }) => at > from);
    return samples.slice(Math.max(0, first - 1));
  }

  function sumIn(sample: Sample | undefined, metric: string, of: Filter): number | null {
    const values = sample?.values.get(metric);
    if (!values) return null;
    return values.filter(({ labels }) => of(labels)).reduce((sum, { value }) => sum + value, 0);
  }

  return {
    async sample(now) {
      const read = names.map(async (name) => [name, await metrics.read(name)] as const);
      const known = (await Promise.all(read)).flatMap(([name, values]) =>
        values ? [[name, values] as const] : [],
      );
      samples.push({ at: now, values: new Map(known) });
      while ((samples[1]?.at ?? now) < now - KEPT_S * 1000) samples.shift();
    },
    now: (metric, of = ANY) => sumIn(last(), metric, of),
    increase(metric, seconds, of = ANY) {
      const [first] = since(seconds);
      const [before, after] = [sumIn(first, metric, of), sumIn(last(), metric, of)];
      return after === null ? null : Math.max(0, after - (before ?? 0));
    },
    lowest(metric, seconds, of = ANY) {
      const sums = since(seconds).flatMap((sample) => sumIn(sample, metric, of) ?? []);
      return sums.length === 0 ? null : Math.min(...sums);
    },
    buckets(metric, seconds) {
      const [first] = since(seconds);
      const bounds = new Map<string, number>();
      const add = (sample: Sample | undefined, sign: number) => {
        for (const { labels, value } of sample?.values.get(metric) ?? []) {
          if (labels.le === undefined) continue;
          const bound = labels.le === '+Inf' ? 'Infinity' : labels.le;
          bounds.set(bound, (bounds.get(bound) ?? 0) + sign * value);
        }
      };
      add(last(), 1);
      if (first !== last()) add(first, -1);
      return Object.fromEntries(bounds);
    },
  };
}
