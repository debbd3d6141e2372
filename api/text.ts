/**
 * Which texts people may send: a stored text must look like what it is. A reader of an address, in an
 * app or on a lock screen, sees every character of it in the order in which it was written. Used by
 * `schemas.ts`; `validate.ts` has the words for the patterns.
 */
import { Type } from 'typebox';

/**
 * Control characters, halves of surrogate pairs, and characters that are invisible or change the
 * direction of writing. Variation selectors only change how the character before them is drawn.
 */
const UNSEEN = String.raw`\p{Cc}\p{Cs}\p{Cf}\p{DI}\p{Zl}\p{Zp}`;
/**
 * Joiners are invisible as well, but words of some scripts and composed emoji need them: allowed
 * between such characters.
 */
const JOINED = ['Arab', 'Syrc', 'Deva', 'Beng', 'Guru', 'Gujr', 'Orya', 'Taml', 'Telu', 'Knda']
  .concat('Mlym', 'Sinh')
  .map((script) => String.raw`\p{scx=${script}}`)
  .join('');
const EMOJI = String.raw`\p{ExtPict}\p{EMod}\p{VS}`;
const JOINER = [
  `(?<=[${JOINED}])[\\u200c\\u200d](?=[${JOINED}])`,
  `(?<=[${EMOJI}])\\u200d(?=\\p{ExtPict})`,
].join('|');
/** A letter, digit, sign or symbol; U+2800 is a symbol that shows nothing. */
const VISIBLE = String.raw`(?=[^]*(?!\u2800)[\p{L}\p{N}\p{P}\p{S}])`;

const textOf = (allowed: string) => `${VISIBLE}(?:[^${UNSEEN}]|\\p{VS}|${JOINER}${allowed})*$`;

/** One line that is not blank. */
export const LINE = `^${textOf('')}`;
/** One line, or an empty text. */
export const OPTIONAL_LINE = `^$|^${textOf('')}`;
/** The same with line breaks. */
export const OPTIONAL_LINES = `^$|^${textOf(String.raw`|[\n\r\u2028\u2029]`)}`;

/**
 * The text with each letter in one piece: an accented one may also come as a letter and its accent (as file names
 * of a Mac do), which looks the same and is found by nobody.
 */
export const composed = (text: string) => text.normalize('NFC');

/** A word that is compared with another: what looks the same is the same. Keyboards of phones add a blank. */
export const spelled = (text: string) => composed(text).trim().replace(/\s+/g, ' ');

/** What breaks each pattern, in words. */
export const TEXT_RULES: readonly (readonly [pattern: string, rule: string])[] = [
  [LINE, 'must not be blank, nor contain control, invisible or bidirectional characters'],
  [OPTIONAL_LINE, 'must not be blank, nor contain control, invisible or bidirectional characters'],
  [
    OPTIONAL_LINES,
    'must not be blank, nor contain control characters other than line breaks, nor invisible or bidirectional ones',
  ],
];

/** A line that must not be blank. Lengths count characters, not bytes or UTF-16 units. */
export const line = (maxLength: number, description: string) =>
  Type.String({ maxLength, pattern: LINE, description });

/** A line that may be empty. */
export const optionalLine = (maxLength: number, description: string) =>
  Type.String({ maxLength, pattern: OPTIONAL_LINE, description });

/** Lines that may be empty. */
export const optionalLines = (maxLength: number, description: string) =>
  Type.String({ maxLength, pattern: OPTIONAL_LINES, description });
