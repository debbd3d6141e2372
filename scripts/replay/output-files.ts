/** Files that a command writes at its end: checked before the start, written with their folders. */
import { constants } from 'node:fs';
import { access, mkdir, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { UsageError } from './flags.ts';

/**
 * `flag` to path; `inputs`: what the command reads. Throws `UsageError` when one cannot be written, or two
 * are the same.
 */
export async function checkOutputs(
  paths: ReadonlyMap<string, string>,
  inputs: readonly string[] = [],
): Promise<void> {
  const read = new Set(await Promise.all(inputs.map(fileOf)));
  const taken = new Map<string, string>();
  for (const [flag, path] of paths) {
    const file = await fileOf(path);
    const other = taken.get(file);
    if (path === '') throw new UsageError(`--${flag} needs a file`);
    if (read.has(file)) throw new UsageError(`--${flag} ${path} would replace what is read`);
    if (other) throw new UsageError(`--${flag} and --${other} are the same file, ${path}`);
    taken.set(file, flag);
    await mustBeWritable(flag, path);
  }
}

/** Writes a file and the folders above it. Throws `UsageError` when that is impossible. */
export async function writeOut(path: string, text: string | Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** A file that could not be written after all: the disk is full, or the folder is gone. */
export function cannotWrite(path: string, error: unknown): UsageError {
  return new UsageError(`cannot write ${path} (${(error as NodeJS.ErrnoException).code})`);
}

/** One name for a file, however it is spelled and whatever links lead to it. */
async function fileOf(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

async function mustBeWritable(flag: string, path: string): Promise<void> {
  const found = await kindOf(path);
  if (found === 'folder' || path.endsWith('/')) {
    throw new UsageError(`--${flag} ${path} is a folder, a file is needed`);
  }
  let nearest = resolve(path);
  while (found === 'nothing' && (await kindOf(nearest)) === 'nothing') nearest = dirname(nearest);
  const above = await kindOf(nearest);
  if (found === 'nothing' && above !== 'folder') {
    throw new UsageError(`--${flag} ${path} cannot be written: ${nearest} is no folder`);
  }
  await access(nearest, constants.W_OK).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--${flag} ${path} cannot be written (${error.code})`);
  });
}

async function kindOf(path: string): Promise<'folder' | 'file' | 'nothing'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'nothing';
    throw new UsageError(`${path} cannot be looked at (${code})`);
  }
}
