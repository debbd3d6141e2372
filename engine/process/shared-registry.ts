/**
 * Metrics of several processes at one address. In the development stack the api's `/metrics` also shows those
 * of the workers, so that one place has every series; elsewhere each process is scraped by itself.
 */
import { AggregatorRegistry, type MetricObjectWithValues, Registry } from 'prom-client';

/** A worker that does not answer is left out; its series come back with it. */
const READ_MS = 500;

type Measures = MetricObjectWithValues<never>[];

export class SharedRegistry extends Registry {
  /** Where other processes serve their metrics as JSON; at first none. */
  others: readonly string[] = [];

  override async metrics(): Promise<string> {
    if (this.others.length === 0) return super.metrics();
    const all = await Promise.all([this.getMetricsAsJSON(), ...this.others.map(readMeasures)]);
    return AggregatorRegistry.aggregate(all).metrics();
  }
}

async function readMeasures(url: string): Promise<Measures> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(READ_MS) });
    return response.ok ? ((await response.json()) as Measures) : [];
  } catch {
    return [];
  }
}
