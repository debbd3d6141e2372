/** Flags of the load tester's commands: `--name value`, checked, with one-line errors. */
import { parseArgs } from 'node:util';
import { joinValues } from '../join-values.ts';

/** The command line cannot be run; the message is one line. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Flags {
  help: boolean;
  values: ReadonlyMap<string, string>;
  /** All values of the flags that may be given several times. */
  lists: ReadonlyMap<string, readonly string[]>;
  /** The switches that were given. */
  on: ReadonlySet<string>;
  positionals: readonly string[];
}

export interface FlagNames {
  values: readonly string[];
  lists?: readonly string[];
  switches?: readonly string[];
  positionals?: boolean;
}

/** What was typed, for `names`. Throws `UsageError`. */
export function readFlags(argv: readonly string[], names: FlagNames): Flags {
  const { lists = [], switches = [] } = names;
  const named = <T>(list: readonly string[], option: T): [string, T][] =>
    list.map((name) => [name, option]);
  const options = Object.fromEntries([
    ...named(names.values, { type: 'string' } as const),
    ...named(lists, { type: 'string', multiple: true } as const),
    ...named([...switches, 'help'], { type: 'boolean' } as const),
  ]);
  try {
    const allowPositionals = names.positionals ?? false;
    const { values, positionals } = parseArgs({
      args: joinValues(argv),
      options,
      allowPositionals,
    });
    const given = Object.entries(values as Record<string, unknown>);
    const only = <T>(is: (value: unknown) => value is T): Map<string, T> =>
      new Map(given.flatMap(([name, value]) => (is(value) ? [[name, value] as const] : [])));
    return {
      help: given.some(([name]) => name === 'help'),
      values: only((value) => typeof value === 'string'),
      lists: only((value): value is string[] => Array.isArray(value)),
      on: new Set(given.flatMap(([name, value]) => (value === true ? [name] : []))),
      positionals,
    };
  } catch (error) {
    const [line = 'bad flags'] = (error as Error).message.split(/\n|\. /);
    throw new UsageError(`${line} (see --help)`);
  }
}

/** One of a few words. Throws `UsageError`. */
export function wordFlag<T extends string>(
  values: ReadonlyMap<string, string>,
  name: string,
  words: readonly [T, ...T[]],
): T {
  const text = values.get(name);
  const word = text === undefined ? words[0] : words.find((known) => known === text);
  if (word !== undefined) return word;
  throw new UsageError(`--${name} must be ${words.join(' or ')}, not '${text}'`);
}

/** A number of at least `min`, whole where `whole` says so. Throws `UsageError`. */
export function numberFlag(
  values: ReadonlyMap<string, string>,
  name: string,
  fallback: number,
  { min, max, whole }: { min: number; max: number; whole: boolean },
): number {
  const text = values.get(name);
  if (text === undefined) return fallback;
  const value = Number(text);
  const legal = text.trim() !== '' && value >= min && value <= max;
  if (legal && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? 'a whole number' : 'a number';
  throw new UsageError(`--${name} must be ${kind} from ${min} to ${max}, not '${text}'`);
}
