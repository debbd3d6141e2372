/** The log of a process: JSON lines on stdout, without secrets of any kind. */
import { type DestinationStream, type Logger as Pino, pino } from 'pino';
import { toLoggable } from './log-error.ts';

/** Bearer tokens and device tokens never appear in logs (contract section 3). */
const SECRET_PATHS = [
  'req.headers.authorization',
  'req.headers.cookie',
  'req.headers["sec-websocket-protocol"]',
  'token',
  '*.token',
];

/** `destination`: where tests read it. */
export function createLog(name: string, level: string, destination?: DestinationStream): Pino {
  const options = {
    name,
    level,
    redact: { paths: SECRET_PATHS, censor: '[hidden]' },
    // Not a serializer: a child of this log (Fastify makes one) may bring serializers of its own.
    formatters: { log: withoutErrorObjects },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Errors as what may be said of them, under whatever name they are logged. */
function withoutErrorObjects(details: Record<string, unknown>): Record<string, unknown> {
  const safe = Object.entries(details).map(([name, value]) => [
    name,
    value instanceof Error ? toLoggable(value) : value,
  ]);
  return Object.fromEntries(safe);
}
