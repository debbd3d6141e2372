/**
 * HTTP calls of the simulated people: signs a token for each, spreads them over the API processes
 * and asks again until there is an answer. Only for calls that are safe to repeat. The HTTP client
 * below it holds at most 64 connections open, which bounds what a replay asks at once.
 */
import { type Call, callHttp, codeOf } from '../client/http.ts';
import { untilAnswered } from '../client/retry.ts';

export type Role = 'driver' | 'customer' | 'operator';
/** A token for one person, good for the whole run. */
export type Sign = (role: Role, sub: string) => Promise<string>;

/** A deployment that does not answer for so long is not worth waiting for. */
const DEADLINE_MS = 30_000;

/** The deployment could not be asked, or said no where it must say yes. The message is one line. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: string;

  constructor(call: Call, code: string, body: unknown) {
    const said = (body as { error?: unknown } | null | undefined)?.error;
    super(`${call.method} ${call.path}: ${code}${said === undefined ? '' : ` (${said})`}`);
    this.code = code;
  }
}

export interface Caller {
  readonly urls: readonly string[];
  /** The URL for the n-th of many, round and round. */
  urlFor(n: number): string;
  token(role: Role, sub: string): Promise<string>;
  /** The body of a 2xx answer. Throws `CallError` for anything else. */
  call(role: Role, sub: string, call: Call): Promise<unknown>;
}

/** `signal` ends it: every later call throws the signal's reason. */
export function createCaller(urls: readonly string[], sign: Sign, signal: AbortSignal): Caller {
  const tokens = new Map<string, Promise<string>>();
  let calls = 0;

  function urlFor(n: number): string {
    const url = urls[n % urls.length];
    if (url === undefined) throw new Error('a replay needs at least one URL');
    return url;
  }

  function token(role: Role, sub: string): Promise<string> {
    const key = `${role}:${sub}`;
    const known = tokens.get(key) ?? sign(role, sub);
    tokens.set(key, known);
    return known;
  }

  return {
    urls,
    urlFor,
    token,
    async call(role, sub, call) {
      signal.throwIfAborted();
      const signed = await token(role, sub);
      calls += 1;
      const url = urlFor(calls);
      const reply = await untilAnswered(async (timeoutMs) => {
        try {
          const answer = await callHttp(url, { ...call, token: signed, timeoutMs });
          const ok = answer.status >= 200 && answer.status < 300;
          return { ok, code: ok ? undefined : codeOf(answer), data: answer.body };
        } catch {
          return null;
        }
      }, DEADLINE_MS);
      if (!reply.ok) throw new CallError(call, reply.code ?? 'unknown', reply.data);
      return reply.data;
    },
  };
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
