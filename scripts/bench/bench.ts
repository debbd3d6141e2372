/**
 * `npm run bench -- [name …] [--json]`: the benchmarks of the contract, section 9, all or some. A
 * table on stdout, or with `--json` one object a line; progress goes to stderr.
 */
import { parseArgs } from 'node:util';
import type { BenchLine } from './bench-line.ts';
import { runCandidates } from './candidates.ts';
import { runClaims } from './claims.ts';
import { runConsole } from './console.ts';
import { runFanout } from './fanout/fanout.ts';
import { runHistory } from './history.ts';
import { runHttp } from './http.ts';
import { runIdle } from './idle.ts';
import { runLanes } from './lanes.ts';
import { runLocations } from './locations.ts';
import { runPush } from './push.ts';
import { runScale } from './scale/scale.ts';
import { runSoak } from './soak.ts';
import { runStalled } from './stalled.ts';

const BENCHES: Record<string, () => Promise<BenchLine[]>> = {
  candidates: runCandidates,
  claims: runClaims,
  console: runConsole,
  fanout: runFanout,
  history: runHistory,
  http: runHttp,
  idle: runIdle,
  lanes: runLanes,
  locations: runLocations,
  push: runPush,
  scale: runScale,
  soak: runSoak,
  stalled: runStalled,
};

const { names, json } = readArguments();
for (const name of names) {
  process.stderr.write(`${name}\n`);
  for (const line of (await BENCHES[name]?.()) ?? []) {
    process.stdout.write(json ? `${JSON.stringify(line)}\n` : table(line));
  }
}

function readArguments(): { names: string[]; json: boolean } {
  try {
    const { values, positionals } = parseArgs({
      options: { json: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const unknown = positionals.find((name) => !Object.hasOwn(BENCHES, name));
    if (unknown !== undefined) throw new Error(`there is no benchmark "${unknown}"`);
    const wanted = positionals.length > 0 ? positionals : Object.keys(BENCHES);
    return { names: wanted, json: values.json };
  } catch (error) {
    const known = Object.keys(BENCHES).join(', ');
    // Node adds advice about arguments that begin with a dash, which no benchmark does.
    const [what] = (error as Error).message.split('. ');
    process.stderr.write(
      `bench: ${what}, usage: npm run bench -- [NAME …] [--json]; known are: ${known}\n`,
    );
    process.exit(1);
  }
}

function table(line: BenchLine): string {
  const side = (name: string, median: number, min: number, max: number) =>
    `  ${name.padEnd(5)} ${number(median).padStart(10)} ${line.unit}  (${number(min)} to ${number(max)})\n`;
  const notes = Object.entries(line.notes).map(([name, value]) => `${name} ${value}`);
  return (
    `${line.bench}\n${side('ours', line.ours, line.ours_min, line.ours_max)}` +
    side('peer', line.peer, line.peer_min, line.peer_max) +
    `  ratio ${String(line.ratio).padStart(10)}   limited by: ${line.bottleneck}\n` +
    `  ${notes.join(', ')}\n`
  );
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}
