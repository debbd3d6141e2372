/** The pool over a network with faults: what fails is an error of the call, never of the process. */
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connectPg, type PgClient } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { makeCertificate } from '../../../scripts/apns-simulator/certificate.ts';
import { type FaultyProxy, startProxy } from '../../support/proxy.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function connectVia(url: string, port: number): Promise<PgClient> {
  const via = new URL(url);
  via.port = String(port);
  return connectTo(via.href);
}

function connectTo(url: string, poolSize?: number): PgClient {
  const pg = connectPg(url, poolSize);
  closers.push(() => pg.close());
  return pg;
}

describe('the pool', () => {
  it('survives connections that break before their first statement is answered', async () => {
    const url = await freshDatabase();
    const target = new URL(url);
    let broken = 0;
    // Lets the login pass and resets the connection at the first statement, the first few times.
    const proxy = net.createServer((client) => {
      const upstream = net.connect(Number(target.port), target.hostname);
      let ready = false;
      upstream.on('data', (data) => {
        // ReadyForQuery ends the login: Z, length 5, idle.
        if (data.includes('Z\0\0\0\x05I')) ready = true;
        client.write(data);
      });
      client.on('data', (data) => {
        if (!ready || broken >= 5) return upstream.write(data);
        broken++;
        return client.resetAndDestroy();
      });
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        one.on('error', () => {});
        one.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closers.push(() => proxy.close());
    const { db } = await connectVia(url, (proxy.address() as net.AddressInfo).port);
    const asked = await Promise.allSettled(
      Array.from({ length: 5 }, () => db.execute(sql`select 1 as one`)),
    );
    expect(broken).toBe(5);
    expect(asked.map(({ status }) => status)).toContain('rejected');
    expect([...(await db.execute(sql`select 1 as one`))]).toEqual([{ one: 1 }]);
  });

  it('works over a new connection when one closed with a statement half given to it', async () => {
    const sockets: net.Socket[] = [];
    /** What each connection began with. */
    const beginnings = new Map<net.Socket, Buffer>();
    const { connect } = net;
    const spy = vi.spyOn(net, 'connect').mockImplementation(((port: number, host: string) => {
      const socket = connect(port, host);
      const write = socket.write.bind(socket);
      socket.write = (data: Buffer) => {
        if (!beginnings.has(socket)) beginnings.set(socket, Buffer.from(data));
        return write(data);
      };
      sockets.push(socket);
      return socket;
    }) as typeof net.connect);
    closers.push(() => spy.mockRestore());
    const { db } = connectTo(await freshDatabase(), 1);
    await db.execute(sql`select 1`);
    const [socket] = sockets;
    const { promise: lost, resolve, reject } = Promise.withResolvers<unknown>();
    // The socket says that it is closed after this turn's immediates, in which the statement comes.
    setTimeout(() => {
      socket?.destroy();
      setImmediate(() => db.execute(sql`select ${'lost'}::text`).then(resolve, reject));
    });
    await expect(lost).rejects.toThrow();
    for (const value of ['a', 'b']) {
      expect([...(await db.execute(sql`select ${value}::text as said`))]).toEqual([
        { said: value },
      ]);
    }
    // The length and the protocol's version: of the statement that was lost nothing is sent before it.
    expect(beginnings.size).toBeGreaterThan(1);
    for (const message of beginnings.values()) {
      expect(message.readUInt32BE(0)).toBe(message.length);
      expect(message.readUInt32BE(4)).toBe(0x0003_0000);
    }
  });

  it('works where TLS begins with the first byte, over one connection, and names the server', async () => {
    const url = new URL(await freshDatabase());
    const target = { host: url.hostname, port: Number(url.port) };
    let accepted = 0;
    const server = tls.createServer({ ...makeCertificate(), ALPNProtocols: ['postgresql'] });
    server.on('connection', () => accepted++);
    const asked: unknown[] = [];
    server.on('secureConnection', (client) => {
      asked.push('servername' in client && client.servername);
      const upstream = net.connect(target);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.on('error', () => {});
        from.pipe(to);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    url.hostname = 'localhost';
    url.port = String((server.address() as net.AddressInfo).port);
    const { db } = connectTo(`${url.href}?sslmode=require&sslnegotiation=direct`, 1);
    expect([...(await db.execute(sql`select 1 as one`))]).toEqual([{ one: 1 }]);
    expect(accepted).toBe(1);
    expect(asked).toEqual(['localhost']);
  });

  it('gives a half open connection up, and works over a new one', async () => {
    const url = await freshDatabase();
    const proxy: FaultyProxy = await startProxy(url);
    closers.push(() => proxy.close());
    const { db } = await connectVia(url, Number(new URL(proxy.url).port));
    await db.execute(sql`select 1`);
    proxy.halfOpen();
    const lost = db.execute(sql`select 1`);
    // The connections of before stay deaf, as where a firewall has forgotten them.
    const gone = expect(lost).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 100));
    proxy.heal();
    await gone;
    expect([...(await db.execute(sql`select 1 as one`))]).toEqual([{ one: 1 }]);
  });

  it('lets nobody keep locks who falls silent within a transaction', async () => {
    const url = await freshDatabase();
    const { db } = connectTo(url);
    await db.execute(sql`insert into drivers (id, name) values ('d1', 'Ann')`);
    const silent = connectTo(url);
    const never = new Promise(() => {});
    const began = Promise.withResolvers<void>();
    const lost = silent.db.transaction(async (tx) => {
      await tx.execute(sql`select from drivers where id = 'd1' for update`);
      began.resolve();
      await never;
    });
    lost.catch(() => {});
    await began.promise;
    const lock = sql`update drivers set name = 'Bea' where id = 'd1' returning name`;
    await expect(db.execute(lock)).rejects.toThrow();
    await until(async () => {
      const rows = await db.execute(lock).catch(() => []);
      return rows.length === 1;
    });
  });

  it('reads lists, which travel as JSON', async () => {
    const { db } = await connectVia(...(await urlAndPort()));
    const [row] = await db.execute(sql`select to_jsonb(array['a', 'b,c']) as list`);
    expect(row).toEqual({ list: ['a', 'b,c'] });
  });
});

async function urlAndPort(): Promise<[string, number]> {
  const url = await freshDatabase();
  return [url, Number(new URL(url).port)];
}
