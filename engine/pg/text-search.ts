/** Looks for a text within a text in any case, whatever locale the database was made with. */
import { type SQL, sql } from 'drizzle-orm';

/** Does the column hold this text, in any case? */
export function contains(column: SQL, text: string): SQL {
  return sql`${column} ~ ${toPattern(text)}`;
}

/** A regular expression of one class a character: `lower` knows no É where the locale is "C". */
function toPattern(text: string): string {
  return [...text].map((char) => `[${variantsOf(char).map(escapeInClass).join('')}]`).join('');
}

/** A character in lower and in upper case, where those are single characters. */
function variantsOf(char: string): string[] {
  const cases = [char, char.toLowerCase(), char.toUpperCase()];
  return [...new Set(cases.filter((variant) => [...variant].length === 1))];
}

function escapeInClass(char: string): string {
  return /[\\\]^[-]/.test(char) ? `\\${char}` : char;
}
