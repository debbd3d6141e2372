/** The log of a process: JSON lines on stdout, without tokens of any kind. */
import { type Logger as Pino, pino } from 'pino';

/** Bearer tokens and device tokens never appear in logs (contract section 3). */
const SECRET_PATHS = [
  'req.headers.authorization',
  'req.headers.cookie',
  'req.headers["sec-websocket-protocol"]',
  'token',
  '*.token',
];

export function createLog(name: string, level: string): Pino {
  return pino({
    name,
    level,
    redact: { paths: SECRET_PATHS, censor: '[hidden]' },
  });
}
