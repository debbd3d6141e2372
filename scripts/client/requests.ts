/**
 * A request that may travel either way: over the feed's socket while it is live, else over HTTP,
 * so that a tap need not wait for a reconnect. Both ways answer with the same codes.
 */
import type { Connection } from './connection.ts';
import { type Call, callHttp, codeOf } from './http.ts';
import type { ClientEvents } from './protocol.ts';
import { type FinalReply, type Reply, untilAnswered } from './retry.ts';

/**
 * Longer than any fault the contract promises to heal within seconds; a person gives up earlier.
 */
const DEADLINE_MS = 30_000;

export interface Request<E extends keyof ClientEvents> {
  event: E;
  data: ClientEvents[E];
  /** The same request over HTTP. */
  call: Call;
}

export interface Way {
  /** Base URL of the deployment. */
  url: string;
  connection: Connection;
}

export interface AskOptions {
  /** Do not use the socket. */
  over?: 'http' | undefined;
  /** A later request has replaced this one. */
  stale?: () => boolean;
}

/** Asks until answered. Only for what is safe to repeat. */
export function ask<E extends keyof ClientEvents>(
  way: Way,
  request: Request<E>,
  options: AskOptions = {},
): Promise<FinalReply> {
  const attempt = async (timeoutMs: number): Promise<Reply | null> => {
    if (options.over === 'http' || !way.connection.live) {
      return tryHttp(way, { ...request.call, timeoutMs });
    }
    const ack = await way.connection.ask(request.event, request.data, timeoutMs);
    return ack && { ok: ack.ok, code: ack.code, data: ack.data };
  };
  return untilAnswered(attempt, DEADLINE_MS, options.stale);
}

/** Calls over HTTP until answered. Only for what is safe to repeat. */
export function askHttp(way: Way, call: Call): Promise<FinalReply> {
  return untilAnswered((timeoutMs) => tryHttp(way, { ...call, timeoutMs }), DEADLINE_MS);
}

async function tryHttp(way: Way, call: Call): Promise<Reply | null> {
  try {
    const token = await way.connection.token();
    const answer = await callHttp(way.url, { ...call, token });
    const ok = answer.status >= 200 && answer.status < 300;
    return { ok, code: ok ? undefined : codeOf(answer), data: answer.body };
  } catch {
    return null;
  }
}
