/**
 * What a log may say of an error: a list of fields that are known to hold no secret. Errors of drivers
 * carry what was sent (passwords, tokens, positions, whole scripts); none of that is on the list.
 */

/** An error as it is logged. */
export interface LoggableError {
  type: string;
  message: string;
  code?: string;
  /** Name of the Redis command, without its arguments. */
  command?: string;
  stack?: string;
  cause?: LoggableError;
}

/** Longer messages repeat what was sent. */
const MESSAGE_MAX = 300;
/** Deeper frames are the event loop's. */
const FRAMES_MAX = 12;
/** Beyond this, causes repeat each other. */
const DEPTH_MAX = 3;

/** Parts of messages that quote what was sent. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\/\/[^/\s@]*@/g, '//[hidden]@'],
  [/\beyJ[\w-]+(\.[\w-]*){1,2}/g, '[token]'],
  [/\b[0-9a-f]{16,}\b/gi, '[hex]'],
  [/-?\b\d{1,3}\.\d{3,}\b/g, '[number]'],
  // Postgres quotes the value that it cannot read.
  [/: "[^"]*"$/, ': "[hidden]"'],
];

/** An error as it may be logged, wherever it came from. */
export function toLoggable(error: Error, depth = 1): LoggableError {
  // A failed statement's own message repeats its parameters: its cause says why it failed.
  const failedStatement = 'query' in error && 'params' in error && error.cause instanceof Error;
  if (failedStatement) return toLoggable(error.cause as Error, depth);
  const { code, command, cause } = error as Error & {
    code?: unknown;
    command?: { name?: unknown };
  };
  const below = cause ?? (error instanceof AggregateError ? error.errors[0] : undefined);
  return {
    type: error.name,
    message: withoutSecrets(error.message),
    ...(typeof code === 'string' && { code }),
    ...(typeof command?.name === 'string' && { command: command.name }),
    ...(typeof error.stack === 'string' && { stack: framesOf(error.stack) }),
    ...(below instanceof Error && depth < DEPTH_MAX && { cause: toLoggable(below, depth + 1) }),
  };
}

/** The first line of a message, with what looks like a secret taken out. */
export function withoutSecrets(message: string): string {
  const [line = ''] = message.split('\n');
  return SECRETS.reduce(
    (text, [secret, word]) => text.replace(secret, word),
    line.slice(0, MESSAGE_MAX),
  );
}

/** The stack without the lines before the first frame, which repeat the message. */
function framesOf(stack: string): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return frames.slice(0, FRAMES_MAX).join('\n');
}
