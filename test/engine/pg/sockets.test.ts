/** The pool where connections are lost without a word: over TLS, and with several servers. */
import net from 'node:net';
import tls from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { parsePgUrl } from '../../../engine/pg/address.ts';
import { connectPg, type PoolTimes } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { connectOnce, findPrimary } from '../../../engine/pg/one-off.ts';
import { createSockets } from '../../../engine/pg/socket.ts';
import { makeCertificate } from '../../../scripts/apns-simulator/certificate.ts';
import { closers } from '../../support/cleanups.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

let url: URL;
beforeAll(async () => {
  url = new URL(await freshDatabase());
});

/** Answers an SSLRequest and ends TLS before Postgres; `isDeaf`: passes no answers on. */
async function startTlsFront(isDeaf: () => boolean): Promise<URL> {
  const secureContext = tls.createSecureContext(makeCertificate());
  const target = { host: url.hostname, port: Number(url.port) };
  const server = net.createServer((raw) => {
    raw.on('error', () => {});
    raw.once('data', () => {
      raw.write('S');
      const client = new tls.TLSSocket(raw, { isServer: true, secureContext });
      const upstream = net.connect(target);
      client.on('error', () => upstream.destroy());
      upstream.on('error', () => client.destroy());
      client.pipe(upstream);
      const wasDeaf = isDeaf();
      upstream.on('data', (data) => void (isDeaf() && !wasDeaf ? null : client.write(data)));
      upstream.on('end', () => client.end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const front = new URL(url);
  front.port = String((server.address() as net.AddressInfo).port);
  front.searchParams.set('sslmode', 'require');
  return front;
}

function connectTo(target: string, ...options: [poolSize?: number, times?: PoolTimes]) {
  const pg = connectPg(target, ...options);
  closers.push(() => pg.close());
  return pg.db;
}

const one = [{ one: 1 }];
/** The beginning of a message of 100 bytes, so that Postgres waits for the rest. */
const STARTUP = Buffer.from([0, 0, 0, 100, 0, 3, 0, 0]);

describe('over TLS', () => {
  it('what gets no answer is given up with its connection, and the next one works', async () => {
    let deaf = false;
    const front = await startTlsFront(() => deaf);
    const db = connectTo(front.href, 1, { answerMs: 2000 });
    expect([...(await db.execute(sql`select 1 as one`))]).toEqual(one);
    deaf = true;
    await expect(db.execute(sql`select 1 as one`)).rejects.toThrow();
    // Connections from now on are heard, as where a firewall has forgotten those of before.
    expect([...(await until(() => db.execute(sql`select 1 as one`)))]).toEqual(one);
  });

  it('a connection that is left counts no more', async () => {
    const front = await startTlsFront(() => false);
    const address = parsePgUrl(front.href);
    const sockets = createSockets(address, () => findPrimary(address));
    closers.push(() => sockets.close());
    for (let i = 0; i < 3; i++) {
      const socket = await sockets.open();
      socket.on('error', () => {});
      // As the driver does at once; one that stays mute is closed.
      socket.write(STARTUP);
    }
    expect(sockets.count()).toBe(3);
    await sockets.leave(2);
    expect(sockets.count()).toBe(1);
    await sockets.leave(2);
    expect(sockets.count()).toBe(0);
    await sockets.leave(2);
  });
});

describe('with several servers', () => {
  const hosts = (...ports: (string | number)[]) => {
    const list = ports.map((port) => `127.0.0.1:${port}`).join(',');
    return `postgres://${url.username}:${url.password}@${list}${url.pathname}`;
  };

  it('passes over those that are away', async () => {
    const db = connectTo(hosts(1, url.port, 2), 4);
    const asked = Array.from({ length: 8 }, () => db.execute(sql`select 1 as one`));
    for (const rows of await Promise.all(asked)) expect([...rows]).toEqual(one);
  });

  it('a command passes over those that are away, and ends when all are', async () => {
    const [some, none] = [connectOnce(hosts(1, url.port, 2)), connectOnce(hosts(1, 2))];
    closers.push(
      () => some.end(),
      () => none.end(),
    );
    expect([...(await some`select 1 as one`)]).toEqual(one);
    await expect(none`select 1 as one`).rejects.toThrow('ECONNREFUSED');
  });

  it('says so when all are away, and tries them again', async () => {
    let server: net.Server | undefined = net.createServer();
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server?.close(resolve));
    const db = connectTo(hosts(1, port), 1);
    await expect(db.execute(sql`select 1 as one`)).rejects.toThrow();
    server = net.createServer((client) => {
      const upstream = net.connect(Number(url.port), url.hostname);
      for (const socket of [client, upstream]) socket.on('error', () => {});
      client.pipe(upstream).pipe(client);
    });
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
    closers.push(() => void server?.close());
    await until(() => db.execute(sql`select 1 as one`));
  });
});
