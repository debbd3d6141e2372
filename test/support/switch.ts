/**
 * An address that can be pointed at another server, as a failover does with a name or a balancer:
 * new connections go there, those that stand stay where they are.
 */
import net from 'node:net';

export interface Switch {
  port: number;
  /** Connections accepted so far. */
  accepted: number;
  pointAt(port: number): void;
  close(): void;
}

export async function startSwitch(port: number): Promise<Switch> {
  let target = port;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    it.accepted++;
    const upstream = net.connect(target, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const it: Switch = {
    port: (server.address() as net.AddressInfo).port,
    accepted: 0,
    pointAt(other) {
      target = other;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return it;
}
