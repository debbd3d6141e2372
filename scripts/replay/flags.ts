/** Flags of the replay and the demo: `--name value`, checked, with one-line errors. */
import { parseArgs } from 'node:util';

/** What the person typed cannot be run; the message is one line. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The values given for `names`, and whether help was asked for. Throws `UsageError`. */
export function readFlags(
  argv: readonly string[],
  names: readonly string[],
): { help: boolean; values: ReadonlyMap<string, string> } {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' } as const]));
  try {
    const args = [...argv];
    const { values } = parseArgs({ args, options: { ...options, help: { type: 'boolean' } } });
    const given = Object.entries(values).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as const] : [],
    );
    return { help: values.help === true, values: new Map(given) };
  } catch (error) {
    const [line = 'bad flags'] = (error as Error).message.split(/\n|\. /);
    throw new UsageError(`${line} (see --help)`);
  }
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
