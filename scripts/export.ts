/**
 * `npm run export -- --user SUB --out FILE`: all data held of one user, one JSON object per line:
 * `{"from": "jobs", "held": {…}}`. The file is for him alone: only its owner may read it.
 */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { ConfigError } from '../engine/process/config.ts';
import { runProcess } from '../engine/process/main.ts';
import { withEngine } from './engine.ts';
import { readFlags } from './personal-data.ts';

const PRIVATE = 0o600;
const USAGE = 'npm run export -- --user SUB --out FILE';

await runProcess('export', async () => {
  const { user, out = '' } = readFlags(['out'], USAGE);
  const file = createWriteStream(out, { mode: PRIVATE });
  // The disk may be full while rows are read.
  const failed = once(file, 'error').then(([{ code }]) => {
    throw new ConfigError(`cannot write ${out} (${code})`);
  });
  await Promise.race([once(file, 'open'), failed]);
  // It may have been there, for others to read.
  await chmod(out, PRIVATE);
  let lines = 0;
  const written = withEngine((engine) =>
    engine.personalData.read(user, async (from, held) => {
      lines++;
      if (!file.write(`${JSON.stringify({ from, held })}\n`)) await once(file, 'drain');
    }),
  );
  await Promise.race([written, failed]);
  file.end();
  await Promise.race([finished(file), failed]);
  process.stdout.write(`Wrote ${lines} lines about ${user} to ${out}\n`);
});
