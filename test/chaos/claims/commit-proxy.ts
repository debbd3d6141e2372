/**
 * Between one api process and Postgres: a proxy that recognises claims on their way to be committed
 * and interrupts one when it is told to, before, during or after the commit.
 */
import { once } from 'node:events';
import net from 'node:net';

/** A claim's parameters, as JSON in the message that binds them. */
const CLAIM = /"version":\d+,"driverId":/;

export type Interruption = 'before' | 'during' | 'after';

export interface CommitProxy {
  port: number;
  /** How many claims will be interrupted still. */
  readonly armed: number;
  /** Interrupts the next claim; `strike` runs at that moment. */
  arm(when: Interruption, strike: () => void): void;
  /**
   * The next claim does not arrive until it is let through, whoever has given it up meanwhile; then
   * resolves when Postgres has answered.
   */
  holdNext(): { letThrough(): Promise<void> };
  close(): void;
}

export async function startCommitProxy(target: {
  host: string;
  port: number;
}): Promise<CommitProxy> {
  const sockets = new Set<net.Socket>();
  let armed: { when: Interruption; strike: () => void }[] = [];
  let hold: ((letThrough: () => Promise<void>) => void) | null = null;

  const server = net.createServer((client) => {
    const upstream = net.connect(target.port, target.host);
    let hangUp: (() => void) | null = null;
    let deaf = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (data) => {
      if (deaf) return;
      const next = armed[0];
      if ((!next && !hold) || !CLAIM.test(data.toString('latin1'))) {
        upstream.write(data);
        return;
      }
      if (hold) {
        deaf = true;
        hold(async () => {
          upstream.write(data);
          await once(upstream, 'data');
        });
        hold = null;
        return;
      }
      if (!next) return;
      armed = armed.slice(1);
      if (next.when === 'after') {
        hangUp = next.strike;
        upstream.write(data);
        return;
      }
      deaf = true;
      if (next.when === 'during') upstream.write(data);
      next.strike();
      client.resetAndDestroy();
      if (next.when === 'before') upstream.destroy();
    });
    upstream.on('data', (data) => {
      // During: the server has answered, so it has committed; nobody hears of it.
      if (deaf) upstream.end();
      else if (hangUp) {
        hangUp();
        hangUp = null;
        client.end(data);
      } else client.write(data);
    });
    client.on('close', () => {
      sockets.delete(client);
      if (!deaf) upstream.destroy();
    });
    upstream.on('close', () => {
      sockets.delete(upstream);
      client.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    get armed() {
      return armed.length;
    },
    arm(when, strike) {
      armed.push({ when, strike });
    },
    holdNext() {
      const held = new Promise<() => Promise<void>>((resolve) => {
        hold = resolve;
      });
      return { letThrough: () => held.then((letThrough) => letThrough()) };
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
