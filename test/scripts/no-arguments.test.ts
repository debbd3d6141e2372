import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test.each([
  ['migrate', 'migrate'],
  ['retention', 'retention'],
  ['resync', 'resync'],
  ['screenshots', 'screenshots/screenshots'],
])('%s does nothing when asked for help', (name, file) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`scripts/${file}.ts`, '--help'], {
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: `muster ${name}: unknown argument '--help', usage: npm run ${name}\n`,
  });
});

test.each(['migrate', 'retention', 'resync', 'erase'])(
  '%s does nothing when npm kept --dry-run for itself',
  (name) => {
    const args = name === 'erase' ? ['--user', 'ann'] : [];
    const env = { PATH: process.env.PATH, npm_config_dry_run: 'true' };
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [`scripts/${name}.ts`, ...args],
      { encoding: 'utf8', env },
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^muster \w+: unknown argument '--dry-run', usage: npm run .*\n$/);
  },
);
