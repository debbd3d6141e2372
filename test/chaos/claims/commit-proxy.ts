/**
 * Between one api process and Postgres: a proxy that recognises claims on their way to be committed
 * and interrupts one when it is told to, before, during or after the commit.
 */
import { once } from 'node:events';
import net from 'node:net';

/** A claim's parameters, as JSON in the message that binds them. */
const CLAIM = /"version":\d+,"driverId":/;

/** How messages begin: of a client that has a statement parsed, and of a server that refuses one. */
const PARSE = 'P'.charCodeAt(0);
const ERROR = 'E'.charCodeAt(0);

export type Interruption = 'before' | 'during' | 'after';

export interface HeldClaim {
  /** Has a claim been held? */
  readonly isHeld: boolean;
  /**
   * Lets it through, whoever has given it up meanwhile; resolves when Postgres has done what it says, and
   * rejects when Postgres refused to.
   */
  letThrough(): Promise<void>;
}

export interface CommitProxy {
  port: number;
  /** How many claims will be interrupted still. */
  readonly armed: number;
  /** Interrupts the next claim; `strike` runs at that moment. */
  arm(when: Interruption, strike: () => void): void;
  /** The next claim whose statement its connection knows does not arrive until it is let through. */
  holdNext(): HeldClaim;
  close(): void;
}

export async function startCommitProxy(target: {
  host: string;
  port: number;
}): Promise<CommitProxy> {
  const sockets = new Set<net.Socket>();
  let armed: { when: Interruption; strike: () => void }[] = [];
  let hold: ((letThrough: HeldClaim['letThrough']) => void) | null = null;

  const server = net.createServer((client) => {
    const upstream = net.connect(target.port, target.host);
    let hangUp: (() => void) | null = null;
    let deaf = false;
    let isParsing = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (data) => {
      if (deaf) return;
      const next = armed[0];
      const isClaim = CLAIM.test(data.toString('latin1'));
      // The time limit of a statement runs from its parsing on: held, it would be cancelled.
      const wasParsing = isParsing;
      isParsing = data[0] === PARSE;
      if (isClaim && hold && !wasParsing) {
        deaf = true;
        hold(() => deliver(upstream, data));
        hold = null;
        return;
      }
      if (!isClaim || !next) {
        upstream.write(data);
        return;
      }
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
      let held: HeldClaim['letThrough'] | undefined;
      hold = (letThrough) => {
        held = letThrough;
      };
      return {
        get isHeld() {
          return held !== undefined;
        },
        letThrough: async () => held?.(),
      };
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Resolves when the server has answered; rejects when it refused. */
async function deliver(upstream: net.Socket, data: Buffer): Promise<void> {
  upstream.write(data);
  const [answer] = await once(upstream, 'data');
  if (answer[0] === ERROR) throw new Error(answer.toString('latin1'));
}
