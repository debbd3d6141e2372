/** Finds a text within a text in upper or lower case, whatever the database's locale. */
import { type SQL, sql } from './drizzle.ts';

/** Does the column contain this text, in upper or lower case? */
export function contains(column: SQL, text: string): SQL {
  const variants = [...text].map(variantsOf);
  // The locale "C" knows the case of ASCII only, and is the fastest.
  if (variants.flat().every(isAscii)) {
    return sql`lower(${column} collate "C") like ${`%${escapeForLike(text.toLowerCase())}%`}`;
  }
  return sql`${column} ~ ${toPattern(variants)}`;
}

/** A regular expression of one class a character: `lower` knows no É where the locale is "C". */
function toPattern(variants: readonly string[][]): string {
  return variants.map((either) => `[${either.map(escapeInClass).join('')}]`).join('');
}

/** A character in lower and in upper case, where those are single characters. */
function variantsOf(char: string): string[] {
  const cases = [char, char.toLowerCase(), char.toUpperCase()];
  return [...new Set(cases.filter((variant) => [...variant].length === 1))];
}

function isAscii(char: string): boolean {
  return char <= '\x7f';
}

function escapeForLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}

function escapeInClass(char: string): string {
  return /[\\\]^[-]/.test(char) ? `\\${char}` : char;
}
