/**
 * `npm run export -- --user SUB --out FILE`: all data held of one user, one JSON object per line:
 * `{"from": "jobs", "held": {…}}`. The file is for him alone: only its owner may read it.
 */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { runProcess } from '../engine/process/main.ts';
import { withEngine } from './engine.ts';
import { readFlags } from './personal-data.ts';

const PRIVATE = 0o600;
const USAGE = 'npm run export -- --user SUB --out FILE';

await runProcess('export', async () => {
  const { user, out = '' } = readFlags(['out'], USAGE);
  const file = createWriteStream(out, { mode: PRIVATE });
  await once(file, 'open');
  // It may have been there, for others to read.
  await chmod(out, PRIVATE);
  let lines = 0;
  await withEngine((engine) =>
    engine.personalData.read(user, async (from, held) => {
      lines++;
      if (!file.write(`${JSON.stringify({ from, held })}\n`)) await once(file, 'drain');
    }),
  );
  file.end();
  await finished(file);
  process.stdout.write(`Wrote ${lines} lines about ${user} to ${out}\n`);
});
