/**
 * The faults that the simulator was told to make: answers for single device tokens, and faults for
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
  // Sends GOAWAY; streams after the last one that it names are not processed.
  'goaway',
  // The connection breaks before the push is taken …
  'kill',
  // … or after it, with no answer.
  'lose',
  // The stream is reset unprocessed (REFUSED_STREAM), or with any code after the push was taken.
  'refuse',
  'reset',
  // No answer ever, or only after `POST /release`.
  'freeze',
  'hold',
  'delay',
];

export interface Fault {
  kind: FaultKind;
  /** For how many pushes it lasts; by default until faults are cleared. */
  count?: number;
  /** For how long it lasts after the first push that it hits. */
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
  /** Of `goaway`: first a GOAWAY without the true last stream. */
  twice?: boolean;
  /** Of `kill` and `lose`: gracefully (FIN) or not (RST); by default as a dropped socket. */
  how?: 'fin' | 'rst';
  /** Of `status`: seconds in `retry-after`. */
  retryAfter?: number;
  /** Hits one push in this many instead of each. */
  every?: number;
}

export interface Faults {
  /** Sets the faults for pushes to a token, one after the other; the last stays. */
  setAnswers(token: string, answers: readonly Fault[]): void;
  /** Sets one answer for all pushes to a token, or none. */
  setAnswer(token: string, answer: Omit<Fault, 'kind'> | null): void;
  add(fault: Fault): void;
  /** The fault for the next push, and the answer of its phone. */
  next(token: string): { fault: Fault | undefined; answer: Fault | undefined };
  /** Resolves when held pushes go on. */
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
