import { expect, test } from 'vitest';
import { distanceKm } from '../../../engine/domain/distance.ts';
import { CITY_MS, makeCity } from '../../../scripts/demo/city.ts';
import { surveyTrace, type TraceEvent } from '../../../scripts/replay/trace.ts';

async function eventsOf(seed: number): Promise<TraceEvent[]> {
  const events: TraceEvent[] = [];
  for await (const event of makeCity({ drivers: 30, jobs: 100, seed }).events()) events.push(event);
  return events;
}

test('the same seed makes the same evening, another another', async () => {
  expect(await eventsOf(5)).toEqual(await eventsOf(5));
  expect(await eventsOf(5)).not.toEqual(await eventsOf(6));
});

test('it is a legal trace with everybody in it', async () => {
  const survey = await surveyTrace(makeCity({ drivers: 30, jobs: 100, seed: 1 }));
  expect(survey.drivers).toHaveLength(30);
  expect(survey.jobs).toBe(100);
  expect(survey.durationMs).toBeLessThan(CITY_MS);
});

test('some drivers are out of reach of some jobs', async () => {
  const events = await eventsOf(1);
  const jobs = events.filter((event) => event.type === 'job');
  const fixes = events.filter((event) => event.type === 'location');
  const apart = fixes.some((fix) => jobs.some((job) => distanceKm(fix, job) > 30));
  const together = jobs.every((job) => fixes.some((fix) => distanceKm(fix, job) < 30));
  expect({ apart, together }).toEqual({ apart: true, together: true });
});

test('the concert brings a burst', async () => {
  const jobs = (await eventsOf(1)).filter((event) => event.type === 'job');
  const inBurst = jobs.filter(({ t }) => t >= 9 * 60_000 && t <= 9 * 60_000 + 90_000);
  expect(inBurst.length).toBeGreaterThan(jobs.length / 3);
});
