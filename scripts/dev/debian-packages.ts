/**
 * Debian and Ubuntu packages without root: downloaded by apt, which checks their signatures, and
 * unpacked in a folder of ours. Nothing is installed. Used for Redis where the machine has none.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

/** A mirror that does not answer is given up after this. */
const APT_LIMIT_MS = 180_000;
/** How apt is told to leave out what a package does not need in order to run. */
const DEPENDS_ONLY = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
  (kind) => `--no-${kind}`,
);

/** Names of shared libraries end in the number of their interface; Lua's begin with `lua-`. */
const LIBRARY = /^(lib.*\d(t64)?|lua-.*)$/;

/** Has this machine the tools? */
export function hasApt(): boolean {
  return ['apt-get', 'apt-cache', 'dpkg-deb', 'dpkg-query'].every(
    (tool) => !spawnSync(tool, ['--version']).error,
  );
}

/**
 * Unpacks a package, and the libraries it needs that are not installed, into `target`.
 * Throws one sentence when apt cannot deliver it.
 */
export function unpackPackage(name: string, target: string): void {
  mkdirSync(path.dirname(target), { recursive: true });
  const work = mkdtempSync(`${target}.new-`);
  try {
    download(name, work);
    const root = path.join(work, 'root');
    for (const file of readdirSync(work).filter((f) => f.endsWith('.deb'))) {
      must(spawnSync('dpkg-deb', ['-x', path.join(work, file), root], { encoding: 'utf8' }), file);
    }
    moveTo(target, root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Another process may have been quicker: its copy is as good as this one. */
function moveTo(target: string, root: string): void {
  try {
    renameSync(root, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
  }
}

/** With the machine's package lists; where they are missing or outdated, with lists of our own. */
function download(name: string, work: string): void {
  try {
    downloadWith([], name, work);
  } catch {
    const own = ownLists(path.join(work, 'apt'));
    must(apt('apt-get', [...own, 'update'], work), 'apt-get update');
    downloadWith(own, name, work);
  }
}

function downloadWith(options: readonly string[], name: string, work: string): void {
  const wanted = new Set([name]);
  // A set is walked in the order of insertion, and what is added on the way is walked too.
  for (const pkg of wanted) {
    for (const needed of missing(options, pkg, work)) wanted.add(needed);
  }
  must(apt('apt-get', [...options, 'download', ...wanted], work), name);
}

/** What it depends on and cannot run without, as far as the machine does not have it. */
function missing(options: readonly string[], name: string, work: string): string[] {
  const listed = apt('apt-cache', [...options, 'depends', ...DEPENDS_ONLY, name], work);
  must(listed, `apt-cache depends ${name}`);
  const family = name.replace(/-.*/, '');
  const needed: string[] = [];
  let choices: string[] = [];
  for (const [, more, pkg] of listed.stdout.matchAll(/^ ([ |])(?:Pre)?Depends: (\S+)$/gm)) {
    choices.push(pkg as string);
    if (more === '|') continue;
    const choice = choices.find((one) => one.startsWith(family) || LIBRARY.test(one));
    if (choice && !choices.some(isInstalled)) needed.push(choice);
    choices = [];
  }
  return needed;
}

/** apt options that keep its lists and caches in `folder`: no root, no effect on the machine. */
function ownLists(folder: string): string[] {
  for (const part of ['lists/partial', 'cache/archives/partial']) {
    mkdirSync(path.join(folder, part), { recursive: true });
  }
  const settings = {
    'Dir::State::lists': path.join(folder, 'lists'),
    'Dir::Cache': path.join(folder, 'cache'),
    // apt as root would hand its downloads to a user who cannot write here.
    ...(process.getuid?.() === 0 ? { 'APT::Sandbox::User': 'root' } : {}),
  };
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

function isInstalled(name: string): boolean {
  const query = spawnSync('dpkg-query', ['--status', name], { encoding: 'utf8' });
  return query.stdout.includes('\nStatus: install ok installed\n');
}

function apt(tool: string, args: readonly string[], cwd: string): SpawnSyncReturns<string> {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(tool, args, { cwd, env, encoding: 'utf8', timeout: APT_LIMIT_MS });
}

function must(result: SpawnSyncReturns<string>, what: string): void {
  if (result.status === 0) return;
  const said = result.stderr?.split('\n').findLast((line) => line.startsWith('E:'));
  throw new Error(`${what}: ${said ?? result.error?.message ?? 'failed'}`);
}
