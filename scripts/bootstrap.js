/**
 * Installs the dependencies when they are missing or not those of package-lock.json. Runs before
 * start, test and demo, so in plain JavaScript on whatever Node (20 or newer) the machine has; what
 * follows runs on the Node 24 that npm then has in node_modules/.bin.
 */
import { spawn, spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 20;
/** TypeScript without a build needs it. */
const RUNTIME_NODE = 24;
/** Another process that installs at the same time is waited for so long. */
const WAIT_LIMIT_MS = 10 * 60_000;
const WAIT_POLL_MS = 250;

const root = fileURLToPath(new URL('..', import.meta.url));
const lockFile = path.join(root, '.muster', 'installing');

process.exitCode = await main();

/** @returns {Promise<number>} the exit code */
async function main() {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    return fail(`Node ${OLDEST_NODE} or newer is needed, this is ${process.version}.`);
  }
  if (!isInstalled()) {
    await takeLock();
    try {
      const code = isInstalled() ? 0 : await install();
      if (code !== 0) return fail(`npm ci failed (exit code ${code}), see above.`);
    } finally {
      rmSync(lockFile, { force: true });
    }
  }
  return checkNode();
}

/** Does node_modules hold what package-lock.json asks for, and nothing else? */
function isInstalled() {
  const wanted = packages('package-lock.json');
  const present = packages('node_modules/.package-lock.json');
  if (!wanted || !present) return false;
  const same = (name) => sameEntry(wanted[name], present[name]);
  // Packages for other platforms are optional and rightly absent.
  const complete = Object.keys(wanted).every(
    (name) => name === '' || (wanted[name].optional && !present[name]) || same(name),
  );
  return complete && Object.keys(present).every(same);
}

function sameEntry(a, b) {
  return a?.version === b?.version && a?.integrity === b?.integrity && Boolean(a) === Boolean(b);
}

function packages(file) {
  try {
    return JSON.parse(readFileSync(path.join(root, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** Runs npm ci and hands signals on to it: nothing goes on installing after a Ctrl-C. */
function install() {
  process.stderr.write('Installing the dependencies (npm ci), this takes a minute …\n');
  const child = spawn('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    // A deployment's NODE_ENV would leave out Node 24 and the embedded PostgreSQL.
    env: { ...process.env, NODE_ENV: 'development' },
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name));
  return new Promise((resolve) => {
    child.once('error', (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(127);
    });
    child.once('exit', (code, name) => resolve(code ?? name));
  });
}

/** Two that start in a fresh clone must not install over each other. */
async function takeLock() {
  const deadline = Date.now() + WAIT_LIMIT_MS;
  mkdirSync(path.dirname(lockFile), { recursive: true });
  const draft = `${lockFile}.${process.pid}`;
  writeFileSync(draft, String(process.pid));
  try {
    let told = false;
    while (!tryLink(draft)) {
      const content = readText(lockFile);
      const holder = Number.parseInt(content, 10);
      if (!(holder > 1 && isAlive(holder)) || Date.now() > deadline) {
        takeAway(content);
        continue;
      }
      if (!told) process.stderr.write(`Waiting for process ${holder}, which installs.\n`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, WAIT_POLL_MS));
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

function tryLink(draft) {
  try {
    linkSync(draft, lockFile);
    return true;
  } catch {
    return false;
  }
}

/** Removes a stale lock; when it was a fresh one by then, its holder gets it back. */
function takeAway(stale) {
  const aside = `${lockFile}.${process.pid}.stale`;
  try {
    renameSync(lockFile, aside);
  } catch {
    return;
  }
  if (readText(aside) !== stale) tryLink(aside);
  rmSync(aside, { force: true });
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** npm puts node_modules/.bin first on PATH: which Node will the command after us run on? */
function checkNode() {
  const bin = path.join(root, 'node_modules', '.bin');
  const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ''}` };
  const version = () =>
    spawnSync('node', ['--version'], { env, encoding: 'utf8' }).stdout?.slice(1) ?? '';
  const isNew = () => Number.parseInt(version(), 10) >= RUNTIME_NODE;
  if (isNew()) return 0;
  // An npm that is set to ignore install scripts did not unpack the Node that it fetched.
  const options = { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' };
  spawnSync('npm', ['rebuild', '--ignore-scripts=false'], options);
  if (isNew()) return 0;
  return fail(
    `Node ${RUNTIME_NODE} could not be installed, found ${version().trim()}: install it and try again.`,
  );
}

function fail(sentence) {
  process.stderr.write(`muster: ${sentence}\n`);
  return 1;
}
