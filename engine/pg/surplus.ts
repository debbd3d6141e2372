/**
 * Gives connections back that were not needed for a minute. The driver would do so by itself, but it uses
 * its free connections in turn, so a statement now and then keeps all of them from being idle.
 */
import type { Admission } from './admission.ts';
import type { Sockets } from './socket.ts';

/** How often to look within the time for which a connection must not have been needed. */
const CHECKS = 6;

/** Runs until it is stopped; `idleS`: how long a connection must not have been needed. */
export function giveBackSurplus(
  admission: Admission,
  sockets: Sockets,
  idleS: number,
): { stop(): void } {
  const needed: number[] = [];
  const check = () => {
    needed.push(admission.takeHighest());
    if (needed.length < CHECKS) return;
    const surplus = sockets.count() - Math.max(...needed);
    needed.shift();
    if (surplus > 0) admission.whenQuiet(() => sockets.leave(surplus));
  };
  const timer = setInterval(check, (idleS * 1000) / CHECKS).unref();
  return { stop: () => clearInterval(timer) };
}
