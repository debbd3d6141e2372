/** The log of a process: JSON lines on stdout, without secrets of any kind. */
import { type DestinationStream, type Logger as Pino, pino } from 'pino';
import { toLoggable } from './log-error.ts';
import { logOutput } from './log-output.ts';

/** Bearer tokens and device tokens never appear in logs (contract section 3). */
const SECRET_PATHS = [
  'req.headers.authorization',
  'req.headers.cookie',
  'req.headers["sec-websocket-protocol"]',
  'token',
  '*.token',
];

/** Already safe errors are written as they are. */
const SERIALIZERS = { err: (error: unknown) => error };

/** `destination`: where tests read it. */
export function createLog(name: string, level: string, destination?: DestinationStream): Pino {
  const options = {
    name,
    level,
    redact: { paths: SECRET_PATHS, censor: '[hidden]' },
    // Not a serializer: a child of this log (Fastify makes one) may bring serializers of its own.
    formatters: { log: withoutErrorObjects },
    serializers: SERIALIZERS,
  };
  const log: Pino = pino(options, destination ?? logOutput((lines) => sayDropped(log, lines)));
  // Fastify asks the log for serializers by this name, and would take pino's own otherwise.
  return Object.assign(log, { serializers: SERIALIZERS });
}

function sayDropped(log: Pino, lines: number): void {
  log.warn({ lines }, 'log lines were dropped, nobody read them in time');
}

/** Replaces errors by what may be logged of them, whatever the field's name. */
function withoutErrorObjects(details: Record<string, unknown>): Record<string, unknown> {
  const safe = Object.entries(details).map(([name, value]) => [
    name,
    value instanceof Error ? toLoggable(value) : value,
  ]);
  return Object.fromEntries(safe);
}
