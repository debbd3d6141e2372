/**
 * HTTP calls of the simulated people: with a token for each, spread over the API processes, asked
 * again until there is an answer. Only for calls that are safe to repeat.
 */
import { type Call, callHttp, codeOf } from '../client/http.ts';
import { untilAnswered } from '../client/retry.ts';
import type { GetToken, Role } from './token-source.ts';

/** A deployment that does not answer for this long is given up. */
const DEADLINE_MS = 30_000;

/** The deployment could not be reached, or refused what it must accept. The message is one line. */
export class CallError extends Error {
  override readonly name = 'CallError';
}

export interface Caller {
  token(role: Role, sub: string): Promise<string>;
  /** The body of a 2xx answer. Throws `CallError` for anything else. */
  call(role: Role, sub: string, call: Call): Promise<unknown>;
}

export function createCaller(urls: readonly string[], token: GetToken): Caller {
  let calls = 0;
  return {
    token,
    async call(role, sub, call) {
      const signed = await token(role, sub);
      calls += 1;
      const url = urls[calls % urls.length] as string;
      const reply = await untilAnswered(async (timeoutMs) => {
        try {
          const answer = await callHttp(url, { ...call, token: signed, timeoutMs });
          const ok = answer.status >= 200 && answer.status < 300;
          return { ok, code: ok ? undefined : codeOf(answer), data: answer.body };
        } catch {
          return null;
        }
      }, DEADLINE_MS);
      if (!reply.ok) throw refused(call, reply.code ?? 'unknown', reply.data);
      return reply.data;
    },
  };
}

function refused({ method, path }: Call, code: string, body: unknown): CallError {
  const said = (body as { error?: unknown } | null | undefined)?.error;
  return new CallError(`${method} ${path}: ${code}${said === undefined ? '' : ` (${said})`}`);
}

/** Does `work` for every item, at most `limit` at a time. The first error ends it. */
export async function inPool<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const queue = [...items].entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of queue) await work(item, index);
  };
  await Promise.all(Array.from({ length: limit }, lane));
}
