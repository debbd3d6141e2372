/**
 * Reads single variables. A malformed one stops the start with one line that names the variable,
 * what is wrong with it and an example; values of secrets never appear in it.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

export type Env = Readonly<Record<string, string | undefined>>;

/** A start-up error whose message is one line for the person who starts the process. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** One of a few words. Throws `ConfigError`. */
export function oneOf(
  env: Env,
  name: string,
  allowed: readonly string[],
  fallback: string,
): string {
  const value = env[name] || fallback;
  if (!allowed.includes(value)) {
    throw new ConfigError(
      `${name} is "${value}", allowed are ${allowed.join(', ')}, e.g. ${name}=${fallback}`,
    );
  }
  return value;
}

/** A number within its limits, both included. Throws `ConfigError`. */
export function readNumber(
  env: Env,
  name: string,
  fallback: number,
  rule: { min: number; max: number; integer?: boolean },
): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  const whole = !rule.integer || Number.isInteger(value);
  if (!(value >= rule.min && value <= rule.max && whole)) {
    throw new ConfigError(
      `${name} is "${text}", expected a${rule.integer ? ' whole' : ''} number from ${rule.min} to ${rule.max}, e.g. ${name}=${fallback}`,
    );
  }
  return value;
}

/**
 * A text that others compare letter by letter; undefined where it is empty. Blanks and quotes at its ends are
 * what files and shells leave behind, and nobody would see why nothing fits. Throws `ConfigError`.
 */
export function readText(env: Env, name: string, example: string): string | undefined {
  const value = env[name];
  if (!value) return undefined;
  if (hasWrapping(value) || /\p{Cc}/u.test(value)) {
    throw new ConfigError(
      `${name} has a blank, a quote or a line break around it, which would count, e.g. ${name}=${example}`,
    );
  }
  return value;
}

/** Does it begin or end with what was hardly meant to belong to it? */
export function hasWrapping(value: string): boolean {
  return value.trim() !== value || /^(["']).*\1$/s.test(value);
}

/** A URL of one of these protocols, without credentials. Throws `ConfigError`. */
export function readUrl(
  env: Env,
  name: string,
  protocols: readonly string[],
  example: string,
): string {
  const value = env[name];
  if (!value) throw new ConfigError(`${name} is not set, e.g. ${name}=${example}`);
  if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol)) {
    throw new ConfigError(
      `${name} is not a ${protocols.map((p) => `${p}//`).join(' or ')} URL, e.g. ${name}=${example}`,
    );
  }
  const { username, password } = new URL(value);
  if (username || password) {
    throw new ConfigError(
      `${name} has a user or password, which are not sent, e.g. ${name}=${example}`,
    );
  }
  return value;
}

/** The text of the file that the variable names. Throws `ConfigError`. */
export function readFile(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    const example = `e.g. ${name}=/run/secrets/${name.toLowerCase()}`;
    if (!isFileName(file)) {
      throw new ConfigError(`${name} holds a text where the name of a file belongs, ${example}`);
    }
    throw new ConfigError(`${name} names ${file}, which cannot be read (${code}), ${example}`);
  }
}

/** Longer than names of mounted secrets, shorter than any key. */
const FILE_NAME_MAX = 160;

/** Else it may be the secret itself, which no message repeats. */
function isFileName(text: string): boolean {
  return text.length <= FILE_NAME_MAX && !/\p{Cc}|-----/u.test(text);
}

/** The certificates in the file that the variable names, as PEM. Throws `ConfigError`. */
export function readCertificates(env: Env, name: string): string | undefined {
  const file = env[name];
  if (!file) return undefined;
  const text = readFile(name, file);
  try {
    new X509Certificate(text);
    return text;
  } catch {
    throw new ConfigError(
      `${name} names ${file}, which holds no PEM certificate, e.g. a text that begins with -----BEGIN CERTIFICATE-----`,
    );
  }
}
