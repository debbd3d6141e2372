import { expect, test } from 'vitest';
import { openDatabase, readLastPushes } from '../../../scripts/replay/truth.ts';
import { freshDatabase } from '../../support/servers.ts';

test('the last push to a driver is timed from the claim, with what its answer took', async () => {
  const sql = openDatabase(await freshDatabase());
  if (!sql) throw new Error('no database');
  try {
    const at = (ms: number) => new Date(1_800_000_000_000 + ms);
    const pushed = (
      job: string,
      ms: number,
      latencyMs: number,
      outcome = 'sent',
      lane = 'nearby',
    ) =>
      sql`insert into push_attempts
        (job_id, wave, user_id, app, lane, kind, token_suffix, apns_id, at, outcome, latency_ms)
        values (${job}, 1, 'd', 'driver', ${lane}, 'new_job', 'aa', ${crypto.randomUUID()},
          ${at(ms)}, ${outcome}, ${latencyMs})`;
    const claimed = (job: string, ms: number) =>
      sql`insert into job_events (job_id, type, version, status, actor, at)
        values (${job}, 'job.accepted', 2, 'accepted', 'driver:d', ${at(ms)})`;
    // Recorded before the claim and answered after it; withdrawn ones were never sent.
    await pushed('late', 100, 10);
    await pushed('late', 900, 250);
    await pushed('late', 950, 5000, 'never_processed');
    await pushed('late', 2000, 50, 'sent', 'critical');
    await claimed('late', 1000);
    await claimed('late', 9000);
    await pushed('early', 100, 10);
    await claimed('early', 1000);
    await pushed('unclaimed', 100, 10);
    await claimed('unpushed', 100);
    const tracks = ['late', 'early', 'unclaimed', 'unpushed', null].map((id) => ({ id }));
    expect(await readLastPushes(sql, tracks)).toEqual(
      new Map([
        ['early', 0],
        ['late', 150],
      ]),
    );
  } finally {
    await sql.end();
  }
});
