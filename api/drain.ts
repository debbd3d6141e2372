/**
 * How an api process stops taking calls without breaking one. If the process closed connections at once,
 * a balancer might just have sent a call on one: the call is reset, and a reset post is not sent again.
 * So the process first only stops listening, still serves calls on its open connections, telling each
 * that it is the last one there, and then closes them.
 */
import type { Server as HttpServer } from 'node:http';
import { Server } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** Calls sent before we stopped listening have arrived by then, even on a busy machine. */
const GRACE_MS = 500;
/** Connections become idle one after the other, as their calls are answered. */
const CLOSE_EVERY_MS = 50;
/** A connection without a call in this time brings none any more: a health check, or one kept in reserve. */
const SILENT_MS = 3000;

/** Below this a turn of the event loop was quiet: an empty one takes a tenth of it. */
const QUIET_MS = 0.2;
/** A process so busy that no turn is quiet stops after this. */
const QUIET_MAX_MS = 1000;

/**
 * Returns what drains the server, and resolves when its last connection has ended; the gateway closes the
 * sockets of the feed. To be made before the server takes its first call, since it counts those under way.
 */
export function createHttpDrain(server: HttpServer): () => Promise<void> {
  let calls = 0;
  server.on('request', (_request, response) => {
    calls++;
    response.once('close', () => {
      calls--;
    });
  });
  return async () => {
    if (!server.listening) return;
    await quietTurn(server);
    const ended = new Promise<void>((resolve) => {
      // `http.Server` itself would also close connections whose first call is not read yet.
      Server.prototype.close.call(server, () => resolve());
    });
    await Promise.race([ended, sleep(GRACE_MS)]);
    const silentAt = performance.now() + SILENT_MS;
    const closing = setInterval(() => {
      if (calls === 0 && performance.now() > silentAt) server.closeAllConnections();
      else server.closeIdleConnections();
    }, CLOSE_EVERY_MS);
    await ended;
    clearInterval(closing);
  };
}

/**
 * Resolves right after a turn of the loop that found no connection waiting: the system resets connections
 * made between that turn and the end of listening, so this time must be short.
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
