/**
 * What the simulator is told to do wrong: answers for single device tokens, and trouble for
 * everybody. Set through the control API.
 */
import type { Refusal } from './request-check.ts';

export type FaultKind = 'status' | 'goaway' | 'kill' | 'freeze' | 'delay';
export const FAULT_KINDS: readonly FaultKind[] = ['status', 'goaway', 'kill', 'freeze', 'delay'];

export interface Fault {
  kind: FaultKind;
  /** For how many pushes it lasts; without it, until faults are cleared. */
  count?: number;
  /** Of `status`. */
  status?: number;
  reason?: string;
  /** Of `delay`. */
  ms?: number;
}

export interface Faults {
  /** The answer that was set for a token, if any. */
  answerFor(token: string): Refusal | undefined;
  setAnswer(token: string, answer: Refusal | null): void;
  add(fault: Fault): void;
  /** The trouble that meets the next push. */
  next(): Fault | undefined;
  clear(): void;
}

/** Answers that are remembered; the oldest is forgotten. */
const ANSWERS_MAX = 100_000;

export function createFaults(): Faults {
  const answers = new Map<string, Refusal>();
  let faults: Fault[] = [];
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
      const fault = faults[0];
      if (!fault || fault.count === undefined) return fault;
      fault.count--;
      if (fault.count <= 0) faults.shift();
      return fault;
    },
    clear() {
      answers.clear();
      faults = [];
    },
  };
}
