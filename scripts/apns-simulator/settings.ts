/** How the simulator behaves as a whole, until it is told otherwise. Null settings are not checked. */

export type Environment = 'sandbox' | 'production';
export const ENVIRONMENTS: readonly Environment[] = ['sandbox', 'production'];

export interface Settings {
  /** Which of Apple's two environments it is: keys and phones of the other are refused. */
  environment: Environment | null;
  /** The topics of the team. */
  topics: readonly string[] | null;
  /** After a refusal a connection has one stream until its next success, as with Apple. */
  collapse: boolean;
  /** How far its clock is ahead of ours; it decides the age of provider tokens. */
  clockSkewMs: number;
  /** Pushes allowed to one phone in a period; further ones are throttled. */
  rate: { max: number; perMs: number } | null;
  /** How long an answer takes: log-normal around its median. */
  latency: { medianMs: number; sigma: number } | null;
  /** The rate that one connection allows. */
  perSecond: number | null;
  /** `mute` accepts connections and sends nothing, not even SETTINGS; `closed` accepts none. */
  door: 'open' | 'mute' | 'closed';
}

export const DOORS: readonly Settings['door'][] = ['open', 'mute', 'closed'];

export function defaultSettings(): Settings {
  return {
    environment: null,
    topics: null,
    collapse: true,
    clockSkewMs: 0,
    rate: null,
    latency: null,
    perSecond: null,
    door: 'open',
  };
}

type Check = (value: unknown) => boolean;
const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const numbers =
  (...names: string[]): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => isNumber((value as Record<string, unknown>)[name]));
const strings: Check = (value) =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');
const oneOf =
  (known: readonly unknown[]): Check =>
  (value) =>
    known.includes(value);

const RULES: Record<keyof Settings, [Check, string]> = {
  environment: [orNull(oneOf(ENVIRONMENTS)), `null, ${ENVIRONMENTS.join(' or ')}`],
  topics: [orNull(strings), 'null or a list of topics'],
  collapse: [oneOf([true, false]), 'true or false'],
  clockSkewMs: [isNumber, 'a number'],
  rate: [orNull(numbers('max', 'perMs')), 'null or {max, perMs}'],
  latency: [orNull(numbers('medianMs', 'sigma')), 'null or {medianMs, sigma}'],
  perSecond: [orNull(isNumber), 'null or a number'],
  door: [oneOf(DOORS), DOORS.join(', ')],
};

/** What is wrong with these changes, or null. */
export function faultOfSettings(changes: object): string | null {
  for (const [name, value] of Object.entries(changes)) {
    const [check, rule] = Object.hasOwn(RULES, name) ? RULES[name as keyof Settings] : [];
    if (!check) return `${name}: there is no such setting`;
    if (!check(value)) return `${name} must be ${rule}`;
  }
  return null;
}
