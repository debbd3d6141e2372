/**
 * A model of what a load costs each part: a sum over everything that happens. Runs that differ in one
 * thing give the costs; the sum is then compared with a run in which everything differs.
 */
import type { Happened } from './load-main.ts';
import { type PerPart, perPart } from './usage.ts';

/** A measured stretch of time. */
export interface Measured extends Happened {
  drivers: number;
  pushes: number;
  /** CPU seconds of each part. */
  used: PerPart;
}

/** CPU milliseconds of each part: for each second, and for each of what happened. */
export interface Costs {
  second: PerPart;
  driverSecond: PerPart;
  fix: PerPart;
  job: PerPart;
  offer: PerPart;
  tap: PerPart;
  push: PerPart;
}

/** Runs that differ from another in what their name says. */
export interface Runs {
  nobody: Measured;
  drivers: Measured;
  fixes: Measured;
  jobsFewDrivers: Measured;
  jobsManyDrivers: Measured;
  taps: Measured;
  pushes: Measured;
}

const NOTHING = perPart(() => 0);

export function costsOf(runs: Runs): Costs {
  const costs: Costs = {
    ...{ second: NOTHING, driverSecond: NOTHING, fix: NOTHING, job: NOTHING },
    ...{ offer: NOTHING, tap: NOTHING, push: NOTHING },
  };
  /**
   * The rest of a run's cost after the known costs, divided by `times`. What noise makes negative stays so:
   * the costs that are fitted after it make it good, and a sum of costs that are never too low is too high.
   */
  const rest = (run: Measured, times: number) =>
    perPart((part) => (1000 * run.used[part] - predict(costs, run)[part]) / times);
  costs.second = rest(runs.nobody, runs.nobody.seconds);
  costs.driverSecond = rest(runs.drivers, runs.drivers.drivers * runs.drivers.seconds);
  costs.fix = rest(runs.fixes, runs.fixes.fixes);
  const [few, many] = [runs.jobsFewDrivers, runs.jobsManyDrivers];
  const [fewEach, manyEach] = [rest(few, few.jobs), rest(many, many.jobs)];
  const more = many.offers / many.jobs - few.offers / few.jobs;
  costs.offer = perPart((part) => (manyEach[part] - fewEach[part]) / more);
  costs.job = rest(few, few.jobs);
  costs.tap = rest(runs.taps, runs.taps.taps);
  costs.push = rest(runs.pushes, runs.pushes.pushes);
  return costs;
}

/** CPU milliseconds of each part for what happened. */
export function predict(costs: Costs, run: Omit<Measured, 'used'>): PerPart {
  const { seconds, drivers, fixes, jobs, offers, taps, pushes } = run;
  return perPart(
    (part) =>
      seconds * costs.second[part] +
      drivers * seconds * costs.driverSecond[part] +
      fixes * costs.fix[part] +
      jobs * costs.job[part] +
      offers * costs.offer[part] +
      taps * costs.tap[part] +
      pushes * costs.push[part],
  );
}
