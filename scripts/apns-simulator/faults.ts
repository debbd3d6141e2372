/**
 * What the simulator is told to do wrong: answers for single device tokens, and trouble for
 * everybody. Set through the control API.
 */
import { forgetOldest } from './forget.ts';

export type FaultKind =
  | 'none'
  | 'status'
  | 'goaway'
  | 'kill'
  | 'lose'
  | 'refuse'
  | 'reset'
  | 'freeze'
  | 'hold'
  | 'delay';
export const FAULT_KINDS: readonly FaultKind[] = [
  'none',
  'status',
  // Says goodbye; streams after the last one that it names are not looked at.
  'goaway',
  // The connection breaks before the push is taken …
  'kill',
  // … or after it, with no answer.
  'lose',
  // The stream is reset unseen (REFUSED_STREAM), or with any code after the push was taken.
  'refuse',
  'reset',
  // No answer, ever; or when it is told to go on.
  'freeze',
  'hold',
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
  /** Of `status`: since when the phone is gone, epoch ms. */
  timestamp?: number;
  /** Of `delay`. */
  ms?: number;
  /** Of `goaway` and `reset`: their error code. */
  code?: number;
  /** Of `goaway`: an announcement without an id goes before it. */
  twice?: boolean;
  /** Of `kill` and `lose`: in good order, or not; without it the process just drops it. */
  how?: 'fin' | 'rst';
  /** Of `status`: seconds in `retry-after`. */
  retryAfter?: number;
  /** Meets one push of so many, instead of each. */
  every?: number;
}

export interface Faults {
  /** What meets the pushes to a token, one after the other; the last stays. */
  setAnswers(token: string, answers: readonly Fault[]): void;
  /** One answer for all of them, or none any more. */
  setAnswer(token: string, answer: Omit<Fault, 'kind'> | null): void;
  add(fault: Fault): void;
  /** The trouble that meets the next push, and what its phone has in store for it. */
  next(token: string): { fault: Fault | undefined; answer: Fault | undefined };
  /** Resolves when those that are held go on. */
  held(): Promise<void>;
  release(): void;
  /** How many pushes have come so far. */
  met(): number;
  clear(): void;
}

/** Answers that are remembered; the oldest is forgotten. */
const ANSWERS_MAX = 100_000;

export function createFaults(): Faults {
  const answers = new Map<string, Fault[]>();
  let faults: (Fault & { until?: number })[] = [];
  let gate = Promise.withResolvers<void>();
  let pushes = 0;

  function nextFault(): Fault | undefined {
    const ended = faults[0]?.until;
    if (ended !== undefined && Date.now() >= ended) faults.shift();
    const fault = faults[0];
    if (fault?.forMs !== undefined) fault.until ??= Date.now() + fault.forMs;
    if (fault?.every !== undefined && pushes % fault.every !== 0) return undefined;
    if (!fault || fault.count === undefined) return fault;
    fault.count--;
    if (fault.count <= 0) faults.shift();
    return fault;
  }

  function nextAnswer(token: string): Fault | undefined {
    const own = answers.get(token);
    return own && own.length > 1 ? own.shift() : own?.[0];
  }

  function release(): void {
    gate.resolve();
    gate = Promise.withResolvers();
  }

  function setAnswers(token: string, own: readonly Fault[]): void {
    answers.delete(token);
    if (own.length > 0) answers.set(token, [...own]);
    forgetOldest(answers, ANSWERS_MAX);
  }

  return {
    setAnswers,
    setAnswer: (token, answer) => setAnswers(token, answer ? [{ ...answer, kind: 'status' }] : []),
    add: (fault) => faults.push({ ...fault }),
    next(token) {
      pushes++;
      return { fault: nextFault(), answer: nextAnswer(token) };
    },
    held: () => gate.promise,
    release,
    met: () => pushes,
    clear() {
      answers.clear();
      faults = [];
      pushes = 0;
      release();
    },
  };
}
