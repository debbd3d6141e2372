/** What the load tester's commands say of an error before they end. */
import { oneLine } from '../../engine/process/main.ts';
import { CallError } from './caller.ts';
import { UsageError } from './flags.ts';
import { Stopped } from './stop-signal.ts';
import { TraceError } from './trace.ts';

/**
 * One line where a person can act on it: what is ours to say, and what the system, the network or a database
 * refused, which comes with a code. Anything else is our bug and keeps its stack.
 */
export function toldOf(command: string, error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isSaid = [UsageError, TraceError, CallError, Stopped].some((kind) => error instanceof kind);
  if (isSaid) return `${command}: ${error.message}`;
  const { code } = error as NodeJS.ErrnoException;
  const isRefused = typeof code === 'string' && !code.startsWith('ERR_');
  return isRefused ? `${command}: ${oneLine(error)}` : `${error.stack}`;
}
