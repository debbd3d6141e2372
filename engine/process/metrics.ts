/**
 * The engine's own metrics (contract section 7), in a registry that the process serves on
 * `/metrics`. Each part of a process adds its own to the same registry.
 */
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { EngineMetrics } from '../context.ts';

/** From half a millisecond to ten seconds: what a person or a phone notices. */
export const LATENCY_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** A registry with the process defaults. */
export function createRegistry<T extends Registry = Registry>(registry = new Registry() as T): T {
  collectDefaultMetrics({ register: registry });
  return registry;
}

export function createEngineMetrics(registry: Registry): EngineMetrics {
  const registers = [registry];
  const claims = new Counter({
    name: 'muster_claims_total',
    help: 'Claims by outcome: won, or the code of the refusal.',
    labelNames: ['outcome'],
    registers,
  });
  const claimSeconds = new Histogram({
    name: 'muster_claim_seconds',
    help: 'Time from tap to answer.',
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const batch = new Histogram({
    name: 'muster_claim_commit_batch',
    help: 'Claims committed in one statement.',
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers,
  });
  const dispatchSeconds = new Histogram({
    name: 'muster_dispatch_seconds',
    help: 'Time to choose the candidates of a wave.',
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const candidates = new Histogram({
    name: 'muster_candidates',
    help: 'Drivers found for a wave.',
    buckets: [0, 1, 5, 10, 50, 100, 500, 1000, 5000],
    registers,
  });
  const locations = new Counter({
    name: 'muster_locations_total',
    help: 'Fixes by outcome: taken, ignored (older than the last), lost.',
    labelNames: ['outcome'],
    registers,
  });
  const reconciled = new Counter({
    name: 'muster_reconciled_total',
    help: 'Repairs by kind.',
    labelNames: ['kind'],
    registers,
  });
  return {
    claim(outcome, seconds) {
      claims.inc({ outcome });
      claimSeconds.observe(seconds);
    },
    claimBatch: (size) => batch.observe(size),
    dispatch(seconds, count) {
      dispatchSeconds.observe(seconds);
      candidates.observe(count);
    },
    location: (outcome) => locations.inc({ outcome }),
    reconciled: (kind, count = 1) => reconciled.inc({ kind }, count),
    async read(name) {
      const metric = registry.getSingleMetric(name);
      if (!metric) return null;
      const { values } = await metric.get();
      return values.map(({ labels, value }) => ({ labels: textsOf(labels), value }));
    },
  };
}

/** Labels as Prometheus reads them. */
function textsOf(labels: Partial<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, text]) => [name, String(text)]));
}
