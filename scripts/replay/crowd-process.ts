/**
 * A crowd in a process of its own, for more phones than one event loop can serve. Commands, facts
 * and questions travel over the channel; the crowd itself is the same class as in one process.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CallError } from './caller.ts';
import type { Command, CrowdPort, CrowdSetup, DriverView, Fact, Load } from './facts.ts';

export type Question = 'prepare' | 'finishWork' | 'mend' | 'views' | 'load' | 'leave';
/** The possible answers to a question. */
export type Said = DriverView[] | Load | undefined;

export type ToCrowd =
  | { setup: CrowdSetup }
  | { command: Command }
  | { ask: Question; call: number; keep?: boolean };

export type FromCrowd = { facts: Fact[] } | { call: number; value?: Said; problem?: string };

const MAIN = fileURLToPath(new URL('./crowd-main.ts', import.meta.url));

/** Starts the process; it ends with `leave()` or with this one. */
export function startCrowdProcess(setup: CrowdSetup, tell: (fact: Fact) => void): CrowdPort {
  const child = fork(MAIN, { serialization: 'advanced' });
  const calls = new Map<number, PromiseWithResolvers<Said>>();
  let asked = 0;
  child.on('message', (message: FromCrowd) => {
    if ('facts' in message) {
      for (const fact of message.facts) tell(fact);
      return;
    }
    const call = calls.get(message.call);
    calls.delete(message.call);
    if (message.problem === undefined) call?.resolve(message.value);
    else call?.reject(new CallError(message.problem));
  });
  child.on('exit', () => {
    for (const call of calls.values()) call.reject(new CallError('a crowd process ended'));
  });
  say(child, { setup });

  function ask(question: Question, keep?: boolean): Promise<Said> {
    if (child.exitCode !== null) return Promise.reject(new CallError('a crowd process ended'));
    asked += 1;
    const call = Promise.withResolvers<Said>();
    calls.set(asked, call);
    say(child, { ask: question, call: asked, ...(keep !== undefined && { keep }) });
    return call.promise;
  }

  return {
    send: (command) => say(child, { command }),
    prepare: async () => void (await ask('prepare')),
    finishWork: async () => void (await ask('finishWork')),
    mend: async () => void (await ask('mend')),
    views: async () => (await ask('views')) as DriverView[],
    load: async () => (await ask('load')) as Load,
    async leave(keep) {
      await ask('leave', keep).finally(() => child.disconnect());
    },
  };
}

function say(child: ChildProcess, message: ToCrowd): void {
  if (child.connected) child.send(message);
}
