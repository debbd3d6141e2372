/** A TCP proxy behind which every answer of a server comes late, by as much as a test says. */
import net from 'node:net';

export interface SlowProxy {
  /** The target's URL with the proxy's port. */
  url: string;
  /** Every answer from now on is late by so much. */
  delayMs: number;
  close(): void;
}

export async function startSlowProxy(target: string): Promise<SlowProxy> {
  const to = new URL(target);
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(to.port), to.hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.pipe(upstream);
    // Timers of one length fire in the order in which they were set; a shorter one must not overtake.
    let last = Promise.resolve();
    upstream.on('data', (data) => {
      const due = performance.now() + proxy.delayMs;
      last = last.then(async () => {
        const left = due - performance.now();
        if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
        if (!client.destroyed) client.write(data);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(target);
  url.port = String((server.address() as net.AddressInfo).port);
  const proxy: SlowProxy = {
    url: url.href,
    delayMs: 0,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return proxy;
}
