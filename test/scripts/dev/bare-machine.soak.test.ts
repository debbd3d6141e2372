/** `npm start`'s program on machines that have less than they seem to, as users who may do little. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { redisBinary } from '../../../scripts/dev/redis-binary.ts';
import {
  copyCheckout,
  processesOf,
  type StartedCopy,
  startCopy,
} from '../../support/checkout-copy.ts';
import { pathWithoutRedis, UNPRIVILEGED, whyNoApt, whyNotAs } from '../../support/machine.ts';
import { until } from '../../support/until.ts';

const started: StartedCopy[] = [];

afterEach(async () => {
  for (const copy of started.splice(0)) {
    copy.signalGroup('SIGTERM');
    await copy.ended;
  }
});

function start(...args: Parameters<typeof startCopy>): StartedCopy {
  const copy = startCopy(...args);
  started.push(copy);
  return copy;
}

const folder = (name: string) => path.join(inject('suiteDir'), `bare-${name}`);

/** A folder with a redis-server that cannot run, as after half an upgrade. */
function brokenRedis(name: string): string {
  mkdirSync(folder(name));
  const program = path.join(folder(name), 'redis-server');
  writeFileSync(program, '#!/no/such/interpreter\n');
  chmodSync(program, 0o755);
  return folder(name);
}

/** The machine's own programs, with a Redis that runs. */
async function wholeMachine(): Promise<NodeJS.ProcessEnv> {
  const { command, env } = await redisBinary(() => {});
  return { ...env, PATH: `${path.dirname(command)}${path.delimiter}${env.PATH}` };
}

const hasProc = existsSync('/proc/self/cwd');

test('no Redis but a broken one, half a package, and nothing to write to but the checkout', async ({
  skip,
}) => {
  const why = whyNotAs(UNPRIVILEGED) ?? whyNoApt();
  skip(why !== undefined, why);
  const dir = copyCheckout('bare', UNPRIVILEGED);
  const half = path.join(dir, '.muster/packages/redis-server-x64/usr/bin');
  spawnSync('mkdir', ['-p', half], UNPRIVILEGED);
  spawnSync('ln', ['-s', 'redis-check-rdb', path.join(half, 'redis-server')], UNPRIVILEGED);
  const closed = folder('closed');
  mkdirSync(closed, { mode: 0o700 });
  const programs = pathWithoutRedis(folder('programs'));
  const env = { PATH: `${brokenRedis('redis')}:${programs}`, HOME: closed, TMPDIR: closed };
  const copy = start(dir, { env, ...UNPRIVILEGED });
  await copy.untilSaid('Ready.');
  expect(statSync(path.join(dir, '.muster')).mode & 0o777).toBe(0o700);
  expect(statSync(path.join(dir, '.muster/redis.password')).uid).toBe(UNPRIVILEGED.uid);
  copy.signalGroup('SIGTERM');
  expect(await copy.ended).toBe(0);
  expect(readdirSync(closed)).toEqual([]);
  expect(processesOf(dir)).toEqual([]);
}, 180_000);

test('a suite of a user without a folder for temporary files finds one in the checkout', ({
  skip,
}) => {
  const why = whyNotAs(UNPRIVILEGED);
  skip(why !== undefined, why);
  const dir = copyCheckout('no-tmp', UNPRIVILEGED);
  const code = `import { temporaryDir } from './scripts/dev/places.ts';
    import os from 'node:os';
    console.log(temporaryDir('x-').startsWith(os.tmpdir()), os.tmpdir());`;
  const result = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    ...UNPRIVILEGED,
    cwd: dir,
    env: { TMPDIR: '/no/such/folder' },
    encoding: 'utf8',
  });
  expect(result.stdout).toBe(`true ${path.join(dir, '.muster/tmp')}\n`);
});

/** The Redis that npm brings is built for one C library. */
function whyNoNpmRedis(): string | undefined {
  const program = `node_modules/@falkordblite/${process.platform}-${process.arch}/bin/redis-server`;
  const { status } = spawnSync(program, ['--version']);
  return status === 0 ? undefined : 'the Redis that npm brings does not run with this C library';
}

test('without a Redis of the machine, the one that npm brings serves', async ({ skip }) => {
  const why = whyNoNpmRedis();
  skip(why !== undefined, why);
  const dir = copyCheckout('npm-redis');
  const copy = start(dir, { env: { PATH: pathWithoutRedis(folder('npm-programs')) } });
  await copy.untilSaid('Ready.');
  expect(copy.said()).not.toContain('getting the package');
  copy.signalGroup('SIGTERM');
  expect(await copy.ended).toBe(0);
}, 120_000);

test('where the user of PostgreSQL cannot reach the checkout, one line says where its state is', async ({
  skip,
}) => {
  skip(process.getuid?.() !== 0, 'only root starts PostgreSQL as another user');
  const dir = copyCheckout('unreachable');
  chmodSync(dir, 0o700);
  const copy = start(dir, { env: await wholeMachine() });
  await copy.untilSaid('Ready.');
  const [, state = ''] =
    /its state is in (\/var\/tmp\/muster-[0-9a-f]{12})\n/.exec(copy.said()) ?? [];
  expect(copy.said().split(state)).toHaveLength(2);
  // The account, which others may share, holds the data and nothing that is opened as root.
  expect(readdirSync(state)).toContain('postgres');
  expect(readdirSync(path.join(state, 'postgres'))).toEqual(['data']);
  expect(statSync(state)).toMatchObject({ uid: 0 });
  copy.signalGroup('SIGINT');
  expect(await copy.ended).toBe(0);
  spawnSync('rm', ['-rf', state]);
}, 120_000);

test.skipIf(!hasProc).each<[string, (copy: StartedCopy) => void]>([
  ['Starting PostgreSQL', (copy) => copy.signalGroup('SIGINT')],
  [
    'Starting Redis',
    (copy) => {
      copy.signalGroup('SIGTERM');
      copy.signalGroup('SIGTERM');
    },
  ],
  ['Starting workers and api', (copy) => copy.child.kill('SIGTERM')],
  [
    'Ready.',
    (copy) => {
      copy.child.kill('SIGTERM');
      copy.signalGroup('SIGINT');
    },
  ],
])(
  'a stop asked for at "%s" ends everything, in good order',
  async (moment, stop) => {
    const dir = copyCheckout(`stop-${moment.replaceAll(/\W/g, '')}`);
    const copy = start(dir, { env: await wholeMachine() });
    await copy.untilSaid(moment);
    stop(copy);
    expect(await copy.ended, copy.said()).toBe(0);
    // What dies of the same signal is not taken for a fault of the machine.
    expect(copy.said()).not.toMatch(/its state is in|No Redis here|muster start:/);
    await until(() => processesOf(dir).length === 0, { what: 'nothing of it runs' });
  },
  120_000,
);
