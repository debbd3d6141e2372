/** What a person reads who runs a command on a machine that lacks something. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, inject, test } from 'vitest';
import { checkout } from '../../scripts/dev/places.ts';

const { scripts, allowScripts, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));

const ours = Object.keys(scripts).filter((name) => /^node \S+\.ts\b/.test(scripts[name]));

test.each(ours)('npm run %s is preceded by a check in plain JavaScript', (name) => {
  expect(scripts[`pre${name}`]).toMatch(/^node scripts\/(bootstrap|preflight)\.js$/);
});

/** The programs of the machine itself, not those that npm put first for us. */
const machinePath = (process.env.PATH ?? '')
  .split(path.delimiter)
  .filter((dir) => !dir.includes('node_modules'))
  .join(path.delimiter);

function machineNode(): number {
  const { stdout } = spawnSync('node', ['--version'], {
    env: { PATH: machinePath },
    encoding: 'utf8',
  });
  return Number.parseInt(stdout?.slice(1) ?? '', 10);
}

function makeCopy(name: string): string {
  const dir = path.join(inject('suiteDir'), `preflight-${name}`);
  for (const part of ['package.json', 'scripts']) {
    cpSync(path.join(checkout, part), path.join(dir, part), { recursive: true });
  }
  return dir;
}

/** As npm would, but without the programs that it puts first on PATH. */
function runBefore(name: string, dir: string): { status: number | null; said: string[] } {
  const env = { PATH: machinePath };
  const result = spawnSync(scripts[`pre${name}`], { cwd: dir, env, shell: true, encoding: 'utf8' });
  return { status: result.status, said: result.stderr.trim().split('\n') };
}

test('an older Node without the development dependencies: one line that says Node 24', ({
  skip,
}) => {
  const major = machineNode();
  skip(!(major >= 20 && major < 24), 'the machine has no Node 20 to 23 beside ours');
  const dir = makeCopy('older');
  for (const name of ours.filter((one) => scripts[`pre${one}`]?.includes('preflight'))) {
    const { status, said } = runBefore(name, dir);
    expect(status, name).toBe(2);
    expect(said, name).toEqual([
      expect.stringMatching(
        /^muster: Node 24 or newer is needed, this is v2[0-3]\.\S+: install it/,
      ),
    ]);
  }
});

test('no dependencies at all: one line that says how they are installed', () => {
  const dir = makeCopy('nothing');
  const run = () =>
    spawnSync(process.execPath, ['scripts/preflight.js'], { cwd: dir, encoding: 'utf8' });
  expect(run()).toMatchObject({
    status: 2,
    stderr: 'muster: the dependencies are not installed: run npm ci\n',
  });
  symlinkSync(path.join(checkout, 'node_modules'), path.join(dir, 'node_modules'));
  expect(run()).toMatchObject({ status: 0, stderr: '' });
});

test('every program that a start runs is in the lock file, with its checksum', () => {
  expect(devDependencies).not.toHaveProperty('node');
  expect(allowScripts).not.toHaveProperty('node');
  const { optionalDependencies } = JSON.parse(
    readFileSync('scripts/dev/programs/package.json', 'utf8'),
  );
  for (const [name, version] of Object.entries(optionalDependencies)) {
    expect(lock.packages[`node_modules/${name}`], name).toMatchObject({
      version,
      integrity: expect.stringMatching(/^sha512-/),
      dev: true,
      optional: true,
    });
  }
  const present = Object.keys(optionalDependencies).filter((name) =>
    existsSync(path.join('node_modules', name, 'bin')),
  );
  // What npm scripts find first is the very file of the package.
  expect(present.some((name) => process.execPath.includes(path.join('node_modules', name)))).toBe(
    present.some((name) => name.startsWith('node-')),
  );
});

test('what CI runs beside the checkout is one program each, whatever its tag is moved to', () => {
  const workflow = readFileSync('.github/workflows/ci.yaml', 'utf8');
  const actions = [...workflow.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
  expect(actions.length).toBeGreaterThan(0);
  for (const action of actions) expect(action).toMatch(/^[\w/-]+@[0-9a-f]{40}$/);
  const versions = [...workflow.matchAll(/node-version: (.+)/g)].map(([, version]) => version);
  expect(versions).toEqual([expect.stringMatching(/^20\.\d+\.\d+$/)]);
});
