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

/** A turn of the event loop in which nothing happened takes a tenth of this. */
const QUIET_MS = 0.2;
/** A process so busy that no turn is quiet stops all the same. */
const QUIET_MAX_MS = 1000;

/** Resolves when the last connection has ended; sockets of the feed are closed by the gateway. */
export async function drainHttp(server: HttpServer): Promise<void> {
  if (!server.listening) return;
  await quietTurn(server);
  const ended = new Promise<void>((resolve) => {
    // `http.Server` itself would also close connections whose first call is not read yet.
    Server.prototype.close.call(server, () => resolve());
  });
  await Promise.race([ended, sleep(GRACE_MS)]);
  const closing = setInterval(() => server.closeIdleConnections(), CLOSE_EVERY_MS);
  await ended;
  clearInterval(closing);
}

/**
 * Resolves right after a turn of the loop that found nobody waiting to be let in: whoever connects
 * between that look and the end of the listening is reset by the system, so it must be short.
 */
async function quietTurn(server: HttpServer): Promise<void> {
  let connections = 0;
  const count = () => {
    connections++;
  };
  server.on('connection', count);
  const began = performance.now();
  let last = began;
  let before = -1;
  await nextTurn();
  while (last - began < QUIET_MAX_MS) {
    const now = performance.now();
    const isQuiet = before === connections && now - last < QUIET_MS;
    if (isQuiet) break;
    [last, before] = [now, connections];
    await nextTurn();
  }
  server.off('connection', count);
}
