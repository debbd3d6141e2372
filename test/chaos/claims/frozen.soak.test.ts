/**
 * A store that freezes for 10 s under taps: whoever taps meanwhile is told to try again, and soon;
 * nothing acknowledged is lost, and claims work when it is back, in the same processes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, callHttp, codeOf } from '../../../scripts/client/http.ts';
import { check } from './checker.ts';
import { Deployment, look } from './deployment.ts';
import { Load } from './load.ts';

const FROZEN_MS = 10_000;
/** The promise is 1 s; a busy machine may be slower, and a hung connection is not answered at all. */
const ANSWER_MAX_MS = 5000;
const TAP_EVERY_MS = 250;
const DECIDED_MAX_MS = 60_000;
const JOBS = 12;
const DRIVERS = ['d3', 'd4', 'd5', 'd6'];
/** Of no seed. */
const DIRECTORY = 0;

let deployment: Deployment;
let load: Load;
beforeAll(async () => {
  deployment = await Deployment.start(DIRECTORY, 'single');
  load = new Load(deployment.urls);
  await load.prepare();
});
afterAll(() => deployment.stop());

interface Said {
  askedAt: number;
  answeredAt: number;
  answer: Answer;
}

/** Taps a job again and again until it is decided, and writes down every answer. */
async function tapUntilDecided(job: string, driver: string, n: number): Promise<Said[]> {
  const said: Said[] = [];
  const token = await load.token('driver', driver);
  const path = `/api/drivers/jobs/${job}/accept`;
  const started = Date.now();
  for (let i = n; Date.now() - started < DECIDED_MAX_MS; i++) {
    const askedAt = Date.now();
    const url = deployment.urls[i % deployment.urls.length] as string;
    const answer = await callHttp(url, { method: 'POST', path, token });
    said.push({ askedAt, answeredAt: Date.now(), answer });
    if (answer.status < 500) return said;
    await sleep(TAP_EVERY_MS);
  }
  throw new Error(`${job} was never decided for ${driver}`);
}

describe.each([
  ['Postgres', (ms: number) => deployment.freezePostgres(ms)],
  ['Redis', (ms: number) => deployment.redis.freeze(ms)],
] as const)('%s frozen for 10 s', (store, freeze) => {
  it('promises nothing meanwhile, loses nothing, and is used again when it is back', async () => {
    const before = await load.held(`before-${store}`, 'd1');
    const jobs: string[] = [];
    for (let i = 0; i < JOBS; i++) jobs.push(await load.post(`c-${store}-${i}`, i));
    const frozenAt = Date.now();
    const thawed = freeze(FROZEN_MS).then(() => Date.now());
    const all = await Promise.all(
      jobs.flatMap((job) => DRIVERS.map((driver, n) => tapUntilDecided(job, driver, n))),
    );
    const thawedAt = await thawed;

    const said = all.flat();
    const meanwhile = said.filter((one) => one.askedAt > frozenAt && one.answeredAt < thawedAt);
    expect(meanwhile.length).toBeGreaterThan(JOBS * DRIVERS.length);
    const codes = new Set(meanwhile.map(({ answer }) => `${answer.status} ${codeOf(answer)}`));
    expect(codes).toEqual(new Set(['503 try_again']));
    const slowest = Math.max(...said.map((one) => one.answeredAt - one.askedAt));
    const usedAgain = Math.min(
      ...said.filter(({ answer }) => answer.status === 200).map((one) => one.answeredAt),
    );
    process.stdout.write(
      `${store} frozen: ${meanwhile.length} answers meanwhile, the slowest after ${slowest} ms, ` +
        `first claim ${usedAgain - thawedAt} ms after its return\n`,
    );
    expect(slowest).toBeLessThan(ANSWER_MAX_MS);
    expect(deployment.deaths).toEqual([]);

    const sql = look(deployment);
    const rows = await sql<{ id: string; driver_id: string }[]>`
      select id, driver_id from jobs where status = 'accepted'`;
    const holder = new Map(rows.map((row) => [row.id, row.driver_id]));
    expect(holder.get(before)).toBe('d1');
    const winners = all.map((tries) => tries.at(-1)?.answer.status === 200);
    for (const [j, job] of jobs.entries()) {
      const won = DRIVERS.filter((_, n) => winners[j * DRIVERS.length + n]);
      expect(won).toEqual([holder.get(job)]);
    }
    const { doubles, lost, stuck, untrue } = await check(sql, load.history, deployment.phones);
    await sql.end();
    expect({ doubles, lost, stuck, untrue }).toEqual({
      doubles: [],
      lost: [],
      stuck: [],
      untrue: [],
    });
  }, 180_000);
});
