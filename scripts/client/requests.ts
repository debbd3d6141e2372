/**
 * A request that may travel either way: over the feed's socket while it is live, else over HTTP,
 * so that a tap during a reconnect does not wait for it. Both ways answer with the same codes.
 */
import type { Connection } from './connection.ts';
import { type Call, callHttp, codeOf } from './http.ts';
import type { ClientEvents } from './protocol.ts';
import { type FinalReply, type Reply, untilAnswered } from './retry.ts';
import type { GetToken } from './tokens.ts';

/** Longer than any fault the contract promises to heal within seconds; a person gives up earlier. */
const DEADLINE_MS = 30_000;

export interface Request<E extends keyof ClientEvents> {
  event: E;
  data: ClientEvents[E];
  call: Call;
}

export interface Way {
  url: string;
  getToken: GetToken;
  connection: Connection;
}

/** Asks until answered; `over: 'http'` leaves the socket aside. */
export function ask<E extends keyof ClientEvents>(
  way: Way,
  request: Request<E>,
  over?: 'http',
): Promise<FinalReply> {
  return untilAnswered(async (timeoutMs) => {
    if (over === 'http' || !way.connection.live) {
      return tryHttp(way.url, way.getToken, { ...request.call, timeoutMs });
    }
    const ack = await way.connection.ask(request.event, request.data, timeoutMs);
    return ack && { ok: ack.ok, code: ack.code, data: ack.data };
  }, DEADLINE_MS);
}

/** Calls over HTTP until answered; only for what is safe to repeat. */
export function askHttp(url: string, getToken: GetToken, call: Call): Promise<FinalReply> {
  return untilAnswered(
    (timeoutMs) => tryHttp(url, getToken, { ...call, timeoutMs }),
    DEADLINE_MS,
  );
}

async function tryHttp(url: string, getToken: GetToken, call: Call): Promise<Reply | null> {
  try {
    const answer = await callHttp(url, { ...call, token: await getToken() });
    const ok = answer.status >= 200 && answer.status < 300;
    return { ok, code: ok ? undefined : codeOf(answer), data: answer.body };
  } catch {
    return null;
  }
}
