/**
 * Probes: a few jobs that nobody taps, posted when the play is over, so that there is something to
 * compare in the feeds. They are not part of a run, and a recording leaves them out.
 */
import type { Job } from '../client/protocol.ts';
import type { Caller } from './caller.ts';
import type { CrowdPort } from './facts.ts';
import { type Random, sample } from './random.ts';

const PROBES = 5;
/** Some probes lie near the edge of the default radius, where feeds differ from each other. */
const PROBE_AWAY_DEG = 0.25;
const PROBE = '-probe';
/** The customers of all probes, as a regular expression of Postgres. */
export const PROBE_CUSTOMERS = `^r[0-9a-f]{8}${PROBE}$`;

export interface ProbeOptions {
  caller: Caller;
  operator: string;
  run: string;
  crowds: readonly CrowdPort[];
  random: Random;
}

/** The ids of those that could be posted. */
export async function postProbes(options: ProbeOptions): Promise<string[]> {
  const { caller, operator, run, crowds, random } = options;
  const views = (await Promise.all(crowds.map((crowd) => crowd.views()))).flat();
  views.sort((a, b) => a.driver - b.driver);
  const placed = views.flatMap((view) => (view.free && view.position) || []);
  const ids: string[] = [];
  for (const [i, { lat, lng }] of sample(placed, PROBES, random).entries()) {
    const away = i % 2 === 0 ? 0 : PROBE_AWAY_DEG;
    const call = {
      method: 'POST',
      path: '/api/jobs',
      idempotencyKey: `${run}-probe-${i}`,
      body: {
        address: `Probe ${i + 1}`,
        lat: Math.max(-85, Math.min(85, lat + away)),
        lng,
        total_price: 1,
        customer_id: `${run}${PROBE}`,
      },
    } as const;
    // If the deployment takes no more jobs, still make a report.
    const body = await caller.call('operator', operator, call).catch(() => null);
    if (body) ids.push((body as { job: Job }).job.id);
  }
  return ids;
}
