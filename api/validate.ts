/**
 * Checks a value against a schema and says, field by field and in words, which rules it breaks.
 * Schemas are compiled when first used. Nothing is coerced, except that texts of a query string become
 * numbers where the schema asks for them, because a query string has nothing else.
 */
import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { Settings } from 'typebox/system';
import { USER_ID } from './auth.ts';
import { type Broken, ERRORS, type ErrorCode } from './errors.ts';
import { TEXT_RULES } from './text.ts';

/** The longest field name repeated in an answer: it comes from the caller. */
const FIELD_MAX = 64;
/** How many broken rules an answer names at most. */
const BROKEN_MAX = 8;
/** TypeBox stops after some errors, and a broken optional field has three of them (see `addsNothing`). */
Settings.Set({ maxErrors: 3 * BROKEN_MAX });
/** Stands for errors that were all left out. */
const BROKEN_SOMEHOW: Broken = { field: 'body', rule: 'must keep the documented schema' };

const validators = new WeakMap<TSchema, Validator>();

/** The rules that `value` breaks; none when it is valid. */
export function validate(schema: TSchema, value: unknown): Broken[] {
  const validator = validatorOf(schema);
  if (validator.Check(value)) return [];
  const broken = validator
    .Errors(value)
    .filter((error) => !addsNothing(error))
    .flatMap((error) => describe(schema, error));
  return broken.length > 0 ? broken.slice(0, BROKEN_MAX) : [BROKEN_SOMEHOW];
}

/** Turns a query string's texts into whole numbers where the schema asks for them and they are such. */
export function convertQuery(schema: TSchema, query: object): object {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  const entries = Object.entries(query).map(([name, text]: [string, unknown]) => {
    const isWhole = typeof text === 'string' && /^\d{1,9}$/.test(text);
    return [name, isWhole && properties[name]?.type === 'integer' ? Number(text) : text];
  });
  return Object.fromEntries(entries);
}

function validatorOf(schema: TSchema): Validator {
  let validator = validators.get(schema);
  if (!validator) {
    validator = Compile(schema);
    validators.set(schema, validator);
  }
  return validator;
}

/** The summary of unknown fields; of an optional field that it is not null either, and its summary. */
function addsNothing({ schemaPath, keyword }: TLocalizedValidationError): boolean {
  return ['additionalProperties', 'anyOf'].includes(keyword) || /\/anyOf\/1$/.test(schemaPath);
}

function describe(schema: TSchema, error: TLocalizedValidationError): Broken[] {
  const at = error.instancePath.slice(1).replaceAll('/', '.');
  if (error.keyword === 'required') {
    return error.params.requiredProperties.map((name) => ({
      field: at ? `${at}.${name}` : name,
      rule: 'is required',
    }));
  }
  const code = ownCode(schema, error);
  return [{ field: shorten(at || 'body'), rule: ruleOf(error), ...(code && { code }) }];
}

/** The rule in words that say more than the schema's keyword. */
function ruleOf(error: TLocalizedValidationError): string {
  switch (error.keyword) {
    case 'boolean':
      return 'is not a known field';
    case 'pattern':
      return PATTERNS.get(String(error.params.pattern)) ?? error.message;
    case 'enum':
      return `must be one of ${error.params.allowedValues.join(', ')}`;
    case 'format':
      return 'must be an RFC 3339 time, e.g. 2026-01-31T08:30:00Z';
    default:
      return error.message;
  }
}

const PATTERNS: ReadonlyMap<string, string> = new Map([
  ...TEXT_RULES,
  [USER_ID.source, 'must be 1 to 64 of A-Z a-z 0-9 _ -, and not me'],
  ['^[\\x20-\\x7e]{1,255}$', 'must be 1 to 255 printable ASCII characters'],
  ['^[0-9A-Fa-f]{16,200}$', 'must be 16 to 200 hexadecimal digits'],
]);

/** The property's own code (`x-code`) for values beyond its bounds. */
function ownCode(schema: TSchema, error: TLocalizedValidationError): ErrorCode | undefined {
  if (error.keyword !== 'minimum' && error.keyword !== 'maximum') return undefined;
  const code = propertyOf(schema, error)?.['x-code'];
  return typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : undefined;
}

/** The schema of the top-level property that an error is about. */
function propertyOf(
  schema: TSchema,
  error: TLocalizedValidationError,
): Record<string, unknown> | undefined {
  const { properties } = schema as { properties?: Record<string, Record<string, unknown>> };
  return properties?.[error.instancePath.slice(1)];
}

function shorten(field: string): string {
  return field.length > FIELD_MAX ? `${field.slice(0, FIELD_MAX)}…` : field;
}
