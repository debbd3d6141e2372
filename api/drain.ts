/**
 * How an api process stops taking calls without breaking one. A balancer may have sent a call on a
 * connection that it has just opened, or kept for long, when the process closes it: the call is reset,
 * and a post that was reset is not sent anew. So the process first only stops listening, serves what
 * comes in on the connections that it has, saying that each is the last one there, and then closes them.
 */
import type { Server as HttpServer } from 'node:http';
import { Server } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** What was sent before we stopped listening has arrived by then, also on a busy machine. */
const GRACE_MS = 500;
/** Connections become idle one after the other, as their calls are answered. */
const CLOSE_EVERY_MS = 50;

/** Resolves when the last connection has ended; sockets of the feed are closed by the gateway. */
export async function drainHttp(server: HttpServer): Promise<void> {
  if (!server.listening) return;
  // The loop has just taken in everybody who had connected: who has not would be reset.
  await nextTurn();
  const ended = new Promise<void>((resolve) => {
    // `http.Server` itself would also close connections whose first call is not read yet.
    Server.prototype.close.call(server, () => resolve());
  });
  await Promise.race([ended, sleep(GRACE_MS)]);
  const closing = setInterval(() => server.closeIdleConnections(), CLOSE_EVERY_MS);
  await ended;
  clearInterval(closing);
}
