/**
 * `npm run synth`: writes a made-up trace, byte for byte the same for the same flags. Exit code 2
 * when a flag or the file is wrong.
 */
import { numberFlag, readFlags, UsageError, wordFlag } from '../replay/flags.ts';
import { checkOutputs } from '../replay/output-files.ts';
import { toldOf } from '../replay/told.ts';
import { writeTrace } from '../replay/trace-file.ts';
import { type BurstOptions, makeBurst } from './burst.ts';
import type { Place } from './place.ts';
import { SHAPES } from './shapes.ts';

const HELP = `npm run synth -- --out FILE [options]

Writes a made-up burst trace; the same flags write the same bytes.

  --out FILE         JSON Lines; gzipped when the name ends in .gz
  --shape S          flat, ramp, burst or wave (default flat)
  --minutes N        how long it is (default 10)
  --drivers N        how many drivers wander (default 200)
  --jobs-per-s N     how many jobs come a second, on average (default 0.5)
  --place LAT,LNG    around where (default 45.02,-34.6, far out at sea)
  --spread-km N      how far from there at most (default 8)
  --seed N           which one it is (default 1)`;

const PLACE = '45.02,-34.6';
/** Beyond this a degree of longitude is too short for the arithmetic. */
const LAT_MAX = 80;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  try {
    return await synth(argv);
  } catch (error) {
    process.stderr.write(`${toldOf('synth', error)}\n`);
    return 2;
  }
}

async function synth(argv: readonly string[]): Promise<number> {
  const values = ['out', 'shape', 'minutes', 'drivers', 'jobs-per-s', 'place', 'spread-km', 'seed'];
  const flags = readFlags(argv, { values });
  if (flags.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const out = flags.values.get('out');
  if (out === undefined) throw new UsageError('--out FILE is missing (see --help)');
  const options = readOptions(flags.values);
  await checkOutputs(new Map([['out', out]]));
  const beganMs = performance.now();
  const { locations, jobs } = await writeTrace(out, makeBurst(options));
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
  process.stdout.write(`${out}: ${jobs} jobs and ${locations} fixes in ${seconds} s\n`);
  return 0;
}

function readOptions(values: ReadonlyMap<string, string>): BurstOptions {
  const number = (name: string, fallback: number, min: number, max: number, whole = false) =>
    numberFlag(values, name, fallback, { min, max, whole });
  return {
    shape: wordFlag(values, 'shape', SHAPES),
    minutes: number('minutes', 10, 0.05, 1440),
    drivers: number('drivers', 200, 1, 200_000, true),
    jobsPerS: number('jobs-per-s', 0.5, 0.001, 10_000),
    centre: readPlace(values.get('place') ?? PLACE),
    spreadKm: number('spread-km', 8, 0.01, 200),
    seed: number('seed', 1, 0, 2 ** 32 - 1, true),
  };
}

function readPlace(text: string): Place {
  const [lat, lng, ...rest] = text
    .split(',')
    .map((part) => (part.trim() === '' ? NaN : Number(part)));
  const legal = lat !== undefined && lng !== undefined && rest.length === 0;
  if (legal && Math.abs(lat) <= LAT_MAX && Math.abs(lng) <= 179) return { lat, lng };
  throw new UsageError(`--place must be LAT,LNG in degrees, up to ±${LAT_MAX},±179, not '${text}'`);
}
