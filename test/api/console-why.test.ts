/** What the Job page answers when it is asked about a driver: one sentence for each rule that kept him out. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Explanation } from '../../engine/jobs/explain.ts';
import { until } from '../support/until.ts';
import { type Api, type Call, CITY, enrol, postJob, startApi } from './support.ts';

const module = new URL('../../api/ops/static/pages/job/answer.js', import.meta.url);
const { answer } = await import(module.href);
const TIME = '[0-9:]{8}';

let api: Api;
let operator: Call;
let id: string;

const north = (km: number) => ({ ...CITY, lat: CITY.lat + km / 111.226 });
const edit = (driver: string, change: object) => operator('PUT', `/api/drivers/${driver}`, change);
const explain = async (query: string) =>
  (await operator<Explanation>('GET', `/api/ops/jobs/${id}/explain?${query}`)).body;
const chosen = (wave: number) =>
  until(async () => (await explain('')).waves.find((one) => one.wave === wave)?.chosen_at);

beforeAll(async () => {
  api = await startApi({ DRIVER_MAX_ACTIVE_JOBS: '1', PUSH_MAX_CANDIDATES: '3' });
  operator = api.as('operator', 'op');
  const customer = api.as('customer', 'c1');
  const busy = await enrol(api, 'busy', north(1));
  const other = await postJob(customer);
  await busy('POST', `/api/drivers/jobs/${other.id}/accept`);
  const decliner = await enrol(api, 'decliner', north(0.1));
  const taker = await enrol(api, 'taker', north(0.2));
  await enrol(api, 'winner', north(0.3));
  id = (await postJob(customer)).id;
  await chosen(1);
  await decliner('POST', `/api/drivers/jobs/${id}/decline`, { reason: 'Flat tyre' });
  await taker('POST', `/api/drivers/jobs/${id}/accept`);

  for (const [i, name] of ['a', 'b', 'over'].entries()) await enrol(api, name, north(0.4 + i / 10));
  await edit('pending', { name: 'P' });
  await enrol(api, 'suspended', north(1));
  await edit('suspended', { approval_status: 'suspended' });
  await enrol(api, 'boss', north(1));
  await edit('boss', { is_operator: true });
  const offline = await enrol(api, 'offline', north(1));
  await offline('PUT', '/api/drivers/me/availability', { online: false });
  await enrol(api, 'nowhere', null);
  await enrol(api, 'far', north(50));
  // Where a wave found them is on record once Postgres has it.
  await until(async () => {
    const { others } = await explain('at=now');
    return ['far', 'over'].every(
      (one) => others.find(({ driver_id }) => driver_id === one)?.distance_km,
    );
  });
  await taker('POST', `/api/drivers/jobs/${id}/release`, { reason: 'Too heavy' });
  await chosen(2);
});
afterAll(() => api[Symbol.asyncDispose]());

test.each([
  ['pending', 'P (pending) was not approved yet.'],
  ['suspended', 'Driver suspended (suspended) was suspended.'],
  ['boss', "Driver boss (boss) was an operator's own account, which is offered no jobs."],
  ['offline', 'Driver offline (offline) was offline.'],
  ['busy', 'Driver busy (busy) held 1 job, the limit is 1.'],
  ['nowhere', 'Driver nowhere (nowhere) had sent no position.'],
  ['far', 'Driver far (far) was 50 km away, the radius was 30 km.'],
  ['over', 'had it in the feed but was not pushed: 4 were in range, the nearest 3 were pushed.'],
])('about %s: %s', async (driver, expected) => {
  const sentence = answer(await explain(`driver_id=${driver}`), 'wave');
  expect(sentence).toMatch(new RegExp(`^When wave 2 opened at ${TIME}, .*\\.$`));
  expect(sentence).toContain(expected);
});

test('about drivers who were offered it: what reached them, and what they did', async () => {
  const decliner = answer(await explain('driver_id=decliner'), 'wave');
  expect(decliner).toMatch(
    new RegExp(
      String.raw`^Driver decliner \(decliner\) was offered it in wave 1, 100 m away, but no phone of his was ` +
        `connected; no push was sent to him; when wave 2 opened at ${TIME}, he had declined it at ` +
        String.raw`${TIME} \(“Flat tyre”\)\.$`,
    ),
  );
  const taker = answer(await explain('driver_id=taker&at=now'), 'now');
  expect(taker).toMatch(
    new RegExp(
      `as of ${TIME}, he cannot have it again, it was given back at ${TIME} \\(“Too heavy”\\)\\.$`,
    ),
  );
  expect(answer(await explain('driver_id=winner'), 'wave')).toMatch(/in wave 1 and 2, 300 m away/);
  expect(answer(await explain('driver_id=over&at=now'), 'now')).toContain('sees it in the feed.');
});

test('about a job that is on offer no more, and who took it', async () => {
  const winner = api.as('driver', 'winner');
  await winner('POST', `/api/drivers/jobs/${id}/accept`);
  const own = answer(await explain('driver_id=winner&at=now'), 'now');
  expect(own).toMatch(new RegExp(`; he took it at ${TIME}\\.$`));
  expect(answer(await explain('driver_id=over&at=now'), 'now')).toContain(
    'would be offered it, but it is on offer no more: Accepted.',
  );
});
