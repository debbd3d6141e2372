import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test.each(['migrate', 'retention', 'resync'])('%s does nothing when asked for help', (name) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`scripts/${name}.ts`, '--help'], {
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: `muster ${name}: unknown argument '--help', usage: npm run ${name}\n`,
  });
});
