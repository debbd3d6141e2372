/** The log of a process: JSON lines on stdout, without tokens of any kind. */
import { type Logger as Pino, pino, stdSerializers } from 'pino';

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
    serializers: { err: withoutParameters },
  });
}

/** A failed statement carries its parameters, device tokens among them: its cause says enough. */
function withoutParameters(error: Error): unknown {
  const failedStatement = 'query' in error && 'params' in error;
  return stdSerializers.err(failedStatement && error.cause instanceof Error ? error.cause : error);
}
