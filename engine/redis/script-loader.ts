/**
 * Loads the Lua scripts. A script's header declares its KEYS and ARGV; the loader refuses a script that
 * uses an undeclared one, or declares one that it does not use, so that a header cannot drift from its
 * body. The body names every argument in its first statements.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { primariesOf, type RedisClient } from './client.ts';

const FOLDER = new URL('../../lua/', import.meta.url);
const INCLUDE = /^-- @include (\S+)$/gm;
const DECLARED = /^-- (KEYS|ARGV)\[(\d+)(\.\.)?\] \S/;

export interface Script {
  name: string;
  source: string;
  sha: string;
}

/** Reads and checks one script. Throws an error that names the file and the argument. */
export function loadScript(name: string): Script {
  const file = `${name}.lua`;
  const text = readFileSync(new URL(file, FOLDER), 'utf8');
  checkScript(file, text);
  const source = text.replaceAll(INCLUDE, (_line, include: string) =>
    readFileSync(new URL(include, FOLDER), 'utf8'),
  );
  return { name, source, sha: createHash('sha1').update(source).digest('hex') };
}

/** Compares the declared arguments of a script with those that its body uses. */
export function checkScript(file: string, text: string): void {
  const lines = text.split('\n');
  const declared = new Map<string, { from: number; variadic: boolean }[]>();
  for (const line of lines) {
    const match = DECLARED.exec(line);
    if (!match?.[1]) continue;
    const list = declared.get(match[1]) ?? [];
    list.push({ from: Number(match[2]), variadic: match[3] !== undefined });
    declared.set(match[1], list);
  }
  const body = lines.filter((line) => !line.trimStart().startsWith('--')).join('\n');
  for (const kind of ['KEYS', 'ARGV'] as const)
    checkKind(file, kind, declared.get(kind) ?? [], body);
}

function checkKind(
  file: string,
  kind: 'KEYS' | 'ARGV',
  declared: readonly { from: number; variadic: boolean }[],
  body: string,
): void {
  declared.forEach(({ from, variadic }, i) => {
    const last = i === declared.length - 1;
    if (from !== i + 1) throw new Error(`${file}: ${kind}[${from}] is declared out of order`);
    if (variadic && !last) throw new Error(`${file}: ${kind}[${from}..] must be declared last`);
  });
  const fixed = declared.filter((d) => !d.variadic).map((d) => d.from);
  const variadic = declared.find((d) => d.variadic);
  const used = new Set(
    [...body.matchAll(new RegExp(`${kind}\\[(\\d+)\\]`, 'g'))].map((m) => Number(m[1])),
  );
  const indexed = new RegExp(`${kind}\\[(?!\\d+\\])`).test(body);
  for (const n of used) {
    if (!fixed.includes(n) && !(variadic && n >= variadic.from)) {
      throw new Error(`${file}: ${kind}[${n}] is used but not declared`);
    }
  }
  for (const n of fixed) {
    if (!used.has(n)) throw new Error(`${file}: ${kind}[${n}] is declared but not used`);
  }
  if (variadic && !indexed) throw new Error(`${file}: ${kind}[${variadic.from}..] is not used`);
  if (!variadic && indexed) throw new Error(`${file}: ${kind} is indexed beyond what it declares`);
}

/** The name of a script's answer; throws for an undocumented code. */
export function named<Names extends Readonly<Record<string, string>>>(
  names: Names,
  code: unknown,
): Names[keyof Names] {
  const name = names[`${code}`];
  if (name === undefined) throw new Error(`a script answered ${code}, which has no name`);
  return name as Names[keyof Names];
}

/** Runs a script by its hash; loads it first where Redis does not know it (restarted, flushed). */
export async function runScript(
  redis: RedisClient,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(script.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return redis.eval(script.source, keys.length, ...keys, ...args);
  }
}

/** Loads the scripts that a Redis lacks because it was emptied or replaced; it must take every one. */
export async function loadMissingScripts(
  redis: RedisClient,
  scripts: readonly Script[],
): Promise<void> {
  await Promise.all(
    primariesOf(redis).map(async (server) => {
      const known = (await server.script('EXISTS', ...scripts.map(({ sha }) => sha))) as number[];
      for (const [i, { name, source, sha }] of scripts.entries()) {
        if (known[i] === 1) continue;
        const loaded = await server.script('LOAD', source);
        if (loaded !== sha) throw new Error(`Redis took another script than ${name}`);
      }
    }),
  );
}
