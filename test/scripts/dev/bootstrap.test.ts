import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, inject, test } from 'vitest';

/** A project whose dependencies lie beside it, so that installing needs no registry. */
function makeProject(name: string, libraries = ['lib']): string {
  const dir = path.join(inject('suiteDir'), `bootstrap-${name}`);
  mkdirSync(path.join(dir, 'scripts'), { recursive: true });
  cpSync('scripts/bootstrap.js', path.join(dir, 'scripts/bootstrap.js'));
  const manifest = { name: 'project', version: '1.0.0', type: 'module' };
  const dependencies = Object.fromEntries(libraries.map((lib) => [lib, `file:${lib}`]));
  writeJson(dir, 'package.json', { ...manifest, dependencies });
  for (const lib of libraries) {
    mkdirSync(path.join(dir, lib));
    writeJson(dir, `${lib}/package.json`, { name: lib, version: '1.0.0' });
  }
  npm(dir, 'install', '--package-lock-only');
  return dir;
}

function writeJson(dir: string, file: string, value: object): void {
  writeFileSync(path.join(dir, file), JSON.stringify(value));
}

const quiet = {
  ...process.env,
  // As npm does for its scripts: the Node of the project first.
  PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH}`,
  npm_config_audit: 'false',
  npm_config_fund: 'false',
};

function npm(dir: string, ...args: string[]): void {
  const { status, stderr } = spawnSync('npm', args, { cwd: dir, env: quiet, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

function bootstrap(dir: string): { status: number | null; said: string } {
  const args = [path.join(dir, 'scripts/bootstrap.js')];
  const result = spawnSync(process.execPath, args, { cwd: dir, env: quiet, encoding: 'utf8' });
  return { status: result.status, said: result.stderr + result.stdout };
}

const isInstalled = (dir: string) => existsSync(path.join(dir, 'node_modules/lib/package.json'));

test('installs what is missing, says so, and does nothing the next time', () => {
  const dir = makeProject('fresh');
  const first = bootstrap(dir);
  expect(first.status).toBe(0);
  expect(first.said).toMatch(/^Installing the dependencies/);
  expect(isInstalled(dir)).toBe(true);
  expect(existsSync(path.join(dir, '.muster/installing'))).toBe(false);
  expect(bootstrap(dir)).toEqual({ status: 0, said: '' });
});

test('installs again when the lock file asks for something else', () => {
  const dir = makeProject('changed');
  bootstrap(dir);
  cpSync(makeProject('newer', ['lib', 'other']), dir, { recursive: true });
  expect(bootstrap(dir).said).toMatch(/^Installing the dependencies/);
  expect(bootstrap(dir).said).toBe('');
});

test('packages for other platforms may be absent', () => {
  const dir = makeProject('optional');
  bootstrap(dir);
  const file = path.join(dir, 'package-lock.json');
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  lock.packages['node_modules/elsewhere'] = { version: '1.0.0', optional: true, os: ['none'] };
  writeJson(dir, 'package-lock.json', lock);
  expect(bootstrap(dir)).toEqual({ status: 0, said: '' });
});

test('a failed installation is an error in plain words', () => {
  const dir = makeProject('broken');
  rmSync(path.join(dir, 'package-lock.json'));
  const { status, said } = bootstrap(dir);
  expect(status).toBe(1);
  expect(said).toContain('muster: npm ci failed');
});

test('waits for another process that installs, and goes over one that was killed', async () => {
  const dir = makeProject('both');
  const run = () => {
    const child = spawn(process.execPath, ['scripts/bootstrap.js'], { cwd: dir, env: quiet });
    return once(child, 'exit').then(([code]) => code);
  };
  mkdirSync(path.join(dir, '.muster'));
  // A pid that no system gives.
  writeFileSync(path.join(dir, '.muster/installing'), String(2 ** 30));
  expect(await Promise.all([run(), run()])).toEqual([0, 0]);
  expect(isInstalled(dir)).toBe(true);
});
