/**
 * Debian and Ubuntu packages without root: downloaded by apt, which checks their signatures, and
 * unpacked in a folder of ours. Nothing is installed. A package is unpacked with everything that it
 * needs but the C library, whatever of it the machine has: a link may lead to a file of an installed
 * package, where we do not look. Used for Redis where the machine has none.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isAlive } from './process-table.ts';
import { runTool, type ToolResult } from './tool.ts';

export interface UnpackOptions {
  /** Does the program unpacked under this root run here? Only then does it replace `target`. */
  runs(root: string): boolean | Promise<boolean>;
  signal?: AbortSignal | undefined;
}

interface Apt {
  /** Where it may write. */
  work: string;
  options: readonly string[];
  signal: AbortSignal | undefined;
}

/** apt options that leave out what a package does not need to run. */
const DEPENDS_ONLY = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
  (kind) => `--no-${kind}`,
);

/** Names of shared libraries end in the number of their interface; Lua's begin with `lua-`. */
const LIBRARY = /^(lib.*\d(t64)?|lua-.*)$/;
/** Belongs to the loader that runs every program: only the machine's own fits. */
const C_LIBRARY = /^libc6/;

/** Does this machine have the tools? */
export async function hasApt(signal?: AbortSignal): Promise<boolean> {
  for (const tool of ['apt-get', 'apt-cache', 'dpkg-deb']) {
    if (!(await runTool(tool, ['--version'], { cwd: '/', signal })).ok) return false;
  }
  return true;
}

/**
 * Unpacks a package and what it needs into `target`, replacing what is there. Throws one sentence
 * when apt cannot deliver it or it does not run; `target` is then unchanged.
 */
export async function unpackPackage(
  name: string,
  target: string,
  { runs, signal }: UnpackOptions,
): Promise<void> {
  mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
  removeLeftovers(target);
  const work = mkdtempSync(`${target}.new-${process.pid}-`);
  try {
    await download(name, work, signal);
    const root = path.join(work, 'root');
    for (const file of readdirSync(work).filter((entry) => entry.endsWith('.deb'))) {
      must(await runTool('dpkg-deb', ['-x', file, root], { cwd: work, signal }), file);
    }
    if (!(await runs(root)))
      throw new Error(`${name} was unpacked, but does not run on this machine`);
    replace(target, root, path.join(work, 'old'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Removes leftovers of an unpacking that was killed. */
function removeLeftovers(target: string): void {
  const prefix = `${path.basename(target)}.new-`;
  for (const entry of readdirSync(path.dirname(target))) {
    if (!entry.startsWith(prefix) || isAlive(Number.parseInt(entry.slice(prefix.length), 10)))
      continue;
    rmSync(path.join(path.dirname(target), entry), { recursive: true, force: true });
  }
}

/** Another process may be quicker: its copy runs too and is as good as ours. */
function replace(target: string, root: string, old: string): void {
  if (existsSync(target)) renameSync(target, old);
  try {
    renameSync(root, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
  }
}

/** Downloads with the machine's package lists or, where they are missing or outdated, with our own. */
async function download(
  name: string,
  work: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await downloadWith({ work, options: [], signal }, name);
  } catch {
    signal?.throwIfAborted();
    const apt = { work, options: ownLists(path.join(work, 'apt')), signal };
    // One failing source of several fails the update, but the package may be there anyway.
    const update = await run(apt, 'apt-get', 'update');
    await downloadWith(apt, name).catch((error: unknown) => {
      must(update, 'apt-get update');
      throw error;
    });
  }
}

async function downloadWith(apt: Apt, name: string): Promise<void> {
  const wanted = new Set([name]);
  for (let added = [name]; added.length > 0; ) {
    const needed = await dependencies(apt, added);
    added = needed.filter((one) => !wanted.has(one));
    for (const one of added) wanted.add(one);
  }
  must(await run(apt, 'apt-get', 'download', ...wanted), name);
}

/** The packages that these cannot run without. */
async function dependencies(apt: Apt, names: readonly string[]): Promise<string[]> {
  const listed = await run(apt, 'apt-cache', 'depends', ...DEPENDS_ONLY, ...names);
  must(listed, `apt-cache depends ${names[0]}`);
  const families = names.map((name) => name.replace(/-.*/, '')).filter((one) => !LIBRARY.test(one));
  const isNeeded = (name: string) =>
    LIBRARY.test(name) || families.some((family) => name.startsWith(`${family}-`));
  const needed = new Set<string>();
  let choices: string[] = [];
  for (const [, more, name] of listed.stdout.matchAll(/^ ([ |])(?:Pre)?Depends: (\S+)$/gm)) {
    choices.push(name as string);
    if (more === '|') continue;
    const choice = choices.find(isNeeded);
    if (choice && !C_LIBRARY.test(choice)) needed.add(choice);
    choices = [];
  }
  return [...needed];
}

/** apt options that keep its lists and caches in `folder`: no root, no effect on the machine. */
function ownLists(folder: string): string[] {
  for (const part of ['lists/partial', 'cache/archives/partial']) {
    mkdirSync(path.join(folder, part), { recursive: true });
  }
  const settings = {
    'Dir::State::lists': path.join(folder, 'lists'),
    'Dir::Cache': path.join(folder, 'cache'),
    // As root, apt would download as a user who cannot write here.
    ...(process.getuid?.() === 0 ? { 'APT::Sandbox::User': 'root' } : {}),
  };
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

function run(apt: Apt, tool: string, ...args: string[]): Promise<ToolResult> {
  const own = apt.options.length > 0 ? { TMPDIR: apt.work } : {};
  const env = { ...process.env, ...own, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  return runTool(tool, [...apt.options, ...args], { cwd: apt.work, env, signal: apt.signal });
}

function must(result: ToolResult, what: string): void {
  if (result.ok) return;
  const said = result.stderr.split('\n').findLast((line) => line.startsWith('E:'));
  throw new Error(`${what}: ${said ?? result.problem ?? 'failed'}`);
}
