/** The main file of a crowd's process; `crowd-process.ts` starts it and talks to it. */
import { Crowd } from './crowd.ts';
import type { FromCrowd, Question, Said, ToCrowd } from './crowd-process.ts';
import type { Fact } from './facts.ts';

/** Facts go out in batches, late by up to this much; no time in them depends on it. */
const BATCH_MS = 5;

let crowd: Crowd | undefined;
let batch: Fact[] = [];

// Ctrl-C reaches the whole process group; the conductor says when to leave.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('disconnect', () => process.exit());
process.on('message', (message: ToCrowd) => {
  if ('setup' in message) crowd = new Crowd(message.setup, tell);
  else if ('command' in message) crowd?.send(message.command);
  else void answer(message.ask, message.call, message.keep ?? false);
});

function tell(fact: Fact): void {
  batch.push(fact);
  if (batch.length === 1) setTimeout(flush, BATCH_MS);
}

function flush(): void {
  if (batch.length > 0) say({ facts: batch });
  batch = [];
}

async function answer(question: Question, call: number, keep: boolean): Promise<void> {
  try {
    const value = await carryOut(question, keep);
    flush();
    say({ call, ...(value && { value }) });
  } catch (error) {
    say({ call, problem: (error as Error).message });
  }
}

async function carryOut(question: Question, keep: boolean): Promise<Said> {
  if (question === 'views') return crowd?.views();
  if (question === 'load') return crowd?.load();
  if (question === 'leave') await crowd?.leave(keep);
  else await crowd?.[question]();
  return undefined;
}

function say(message: FromCrowd): void {
  process.send?.(message);
}
