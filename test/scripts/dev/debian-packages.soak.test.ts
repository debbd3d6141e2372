import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { unpackPackage } from '../../../scripts/dev/debian-packages.ts';
import { whyNoApt } from '../../support/machine.ts';
import { until } from '../../support/until.ts';

// What a mirror and a busy machine may take.
vi.setConfig({ testTimeout: 180_000 });

const noApt = whyNoApt();

beforeEach((context) => context.skip(noApt !== undefined, noApt));

afterEach(() => vi.unstubAllEnvs());

/** A folder for packages, and in it where one goes. */
function placeFor(name: string, program = 'redis-server') {
  const packages = path.join(inject('suiteDir'), `packages-${name}`);
  mkdirSync(packages);
  return { packages, target: path.join(packages, program) };
}

const runs = (root: string, program = 'redis-server') =>
  spawnSync(path.join(root, 'usr/bin', program), ['--version'], {
    env: { LD_LIBRARY_PATH: libraries(root) },
  }).status === 0;

function libraries(root: string): string {
  const lib = path.join(root, 'usr/lib');
  return existsSync(lib)
    ? readdirSync(lib)
        .map((name) => path.join(lib, name))
        .join(':')
    : '';
}

const isKnown = (program: string) => spawnSync('apt-cache', ['show', program]).status === 0;

/** Older releases of the distribution have no Valkey. */
const known = [
  ['redis-server', 'redis-check-rdb'] as const,
  ...(isKnown('valkey-server') ? [['valkey-server', 'valkey-check-rdb'] as const] : []),
];

test.each(known)(
  '%s takes the place of half a package, whatever is installed',
  async (program, other) => {
    const { packages, target } = placeFor(program, program);
    mkdirSync(path.join(target, 'usr/bin'), { recursive: true });
    symlinkSync(other, path.join(target, 'usr/bin', program));
    // As one that was killed left it, with a pid that no system gives.
    mkdirSync(`${target}.new-${2 ** 30}-abcdef`);
    await unpackPackage(program, target, { runs: (root) => runs(root, program) });
    expect(runs(target, program)).toBe(true);
    // The program is a link to this file of another package, which may be installed on the machine.
    expect(existsSync(path.join(target, 'usr/bin', other))).toBe(true);
    expect(readdirSync(packages)).toEqual([program]);
  },
);

test('without package lists, too; and what does not run here replaces nothing', async () => {
  const { packages, target } = placeFor('no-lists');
  const config = path.join(inject('suiteDir'), 'apt.conf');
  const empty = path.join(inject('suiteDir'), 'empty-lists');
  mkdirSync(path.join(empty, 'partial'), { recursive: true });
  writeFileSync(config, `Dir::State::lists "${empty}";\n`);
  vi.stubEnv('APT_CONFIG', config);
  const found = spawnSync('apt-get', ['download', '--print-uris', 'redis-server']);
  expect(found.status, 'apt without lists knows no package').not.toBe(0);
  mkdirSync(target);
  let ran = false;
  const unpacking = unpackPackage('redis-server', target, {
    runs: (root) => {
      ran = runs(root);
      return false;
    },
  });
  await expect(unpacking).rejects.toThrow(/was unpacked, but does not run on this machine/);
  expect(ran).toBe(true);
  expect(readdirSync(packages)).toEqual(['redis-server']);
  expect(readdirSync(target)).toEqual([]);
});

test('one that is given up leaves nothing and tries nothing else', async () => {
  const { packages, target } = placeFor('given-up');
  const controller = new AbortController();
  const { signal } = controller;
  const unpacking = unpackPackage('redis-server', target, { runs, signal });
  await until(() => readdirSync(packages).length > 0, { what: 'it works' });
  controller.abort(new Error('given up'));
  await expect(unpacking).rejects.toThrow('given up');
  expect(readdirSync(packages)).toEqual([]);
});
