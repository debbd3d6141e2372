/**
 * What the simulator is told to do wrong: answers for single device tokens, and trouble for
 * everybody. Set through the control API.
 */
import type { Refusal } from './request-check.ts';

export type FaultKind = 'status' | 'goaway' | 'kill' | 'lose' | 'refuse' | 'freeze' | 'delay';
export const FAULT_KINDS: readonly FaultKind[] = [
  'status',
  // Says goodbye; streams after the last one that it names are not looked at.
  'goaway',
  // The connection breaks before the push is taken …
  'kill',
  // … or after it, with no answer.
  'lose',
  // The stream is reset unseen (REFUSED_STREAM).
  'refuse',
  'freeze',
  'delay',
];

export interface Fault {
  kind: FaultKind;
  /** For how many pushes it lasts; without it, until faults are cleared. */
  count?: number;
  /** For how long it lasts after the first push that it meets. */
  forMs?: number;
  /** Of `status`. */
  status?: number;
  reason?: string;
  /** Of `delay`. */
  ms?: number;
  /** Of `goaway`: its error code; with `twice` an announcement without an id goes before it. */
  code?: number;
  twice?: boolean;
  /** Of `status`: seconds in `retry-after`. */
  retryAfter?: number;
  /** Meets one push of so many, instead of each. */
  every?: number;
}

export interface Faults {
  /** The answer that was set for a token, if any. */
  answerFor(token: string): Refusal | undefined;
  setAnswer(token: string, answer: Refusal | null): void;
  add(fault: Fault): void;
  /** The trouble that meets the next push. */
  next(): Fault | undefined;
  /** How many pushes have come so far. */
  met(): number;
  clear(): void;
}

/** Answers that are remembered; the oldest is forgotten. */
const ANSWERS_MAX = 100_000;

export function createFaults(): Faults {
  const answers = new Map<string, Refusal>();
  let faults: (Fault & { until?: number })[] = [];
  let pushes = 0;
  return {
    answerFor: (token) => answers.get(token),
    setAnswer(token, answer) {
      answers.delete(token);
      if (answer) answers.set(token, answer);
      const [oldest] = answers.keys();
      if (answers.size > ANSWERS_MAX && oldest !== undefined) answers.delete(oldest);
    },
    add: (fault) => faults.push({ ...fault }),
    next() {
      pushes++;
      const ended = faults[0]?.until;
      if (ended !== undefined && Date.now() >= ended) faults.shift();
      const fault = faults[0];
      if (fault?.forMs !== undefined) fault.until ??= Date.now() + fault.forMs;
      if (fault?.every !== undefined && pushes % fault.every !== 0) return undefined;
      if (!fault || fault.count === undefined) return fault;
      fault.count--;
      if (fault.count <= 0) faults.shift();
      return fault;
    },
    met: () => pushes,
    clear() {
      answers.clear();
      faults = [];
      pushes = 0;
    },
  };
}
