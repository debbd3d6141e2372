/**
 * The line between a phone and the server. A good one passes bytes on; a slow one delays them, is
 * narrow and stops reading now and then, so that the server's buffers fill; a flaky one breaks. A
 * storm cuts any of them. One per driver and customer, over all connections of his app.
 */
import { connect, isIP, type NetConnectOpts, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { CreateConnection } from '../client/link.ts';
import type { PhoneKind } from './facts.ts';
import type { Random } from './random.ts';

/** A phone at the edge of its cell: 300 ms a way, 8 KB/s, and every 10 s or so nothing for 2 s. */
const SLOW_DELAY_MS = 300;
const SLOW_BYTES_PER_S = 8 * 1024;
const SLOW_PORTION_BYTES = 4 * 1024;
const SLOW_STALL_EVERY_MS = 10_000;
const SLOW_STALL_MS = 2000;
/** A phone in a moving car: the line holds for 2 to 12 s. */
const FLAKY_MIN_MS = 2000;
const FLAKY_SPREAD_MS = 10_000;

export class PhoneLine {
  #kind: PhoneKind;
  readonly #random: Random;
  readonly #sockets = new Set<Socket>();
  #inStep = false;

  constructor(kind: PhoneKind, random: Random) {
    this.#kind = kind;
    this.#random = random;
  }

  get kind(): PhoneKind {
    return this.#kind;
  }

  /** Random numbers for the pauses between dials; after a `:sync` storm there is no pause. */
  readonly random = (): number => {
    const inStep = this.#inStep;
    this.#inStep = false;
    return inStep ? 0 : this.#random();
  };

  readonly createConnection: CreateConnection = (options) => {
    const secure = options.defaultPort === 443;
    const { host, port } = options as { host?: string; port?: number };
    const socket = connect({ ...(host && { host }), port: Number(port) } as NetConnectOpts);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.setNoDelay(true);
    if (this.#kind === 'flaky') this.#breakLater(socket);
    const way = this.#kind === 'slow' ? new SlowWay(socket, this.#random) : socket;
    if (!secure) return way;
    return connectTls({ socket: way, ...(host && !isIP(host) && { servername: host }) });
  };

  /** Breaks open connections. With `sync` the app dials again at once instead of after a random pause. */
  cut(inStep: boolean): void {
    this.#inStep = inStep;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** From the next connection on the line is good. */
  mend(): void {
    if (this.#kind === 'good') return;
    this.#kind = 'good';
    this.cut(false);
  }

  #breakLater(socket: Socket): void {
    const timer = setTimeout(
      () => socket.destroy(),
      FLAKY_MIN_MS + this.#random() * FLAKY_SPREAD_MS,
    );
    socket.on('close', () => clearTimeout(timer));
  }
}

/** Bytes are delayed both ways; while they wait here, the socket is not read. */
class SlowWay extends Duplex {
  readonly #socket: Socket;
  readonly #stalls: NodeJS.Timeout;
  #stalledUntil = 0;
  #waiting = false;

  constructor(socket: Socket, random: Random) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.pause();
    socket.on('connect', () => this.emit('connect'));
    socket.on('readable', () => this.#deliver());
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    this.#stalls = setInterval(
      () => {
        this.#stalledUntil = Date.now() + SLOW_STALL_MS;
      },
      SLOW_STALL_EVERY_MS * (0.5 + random()),
    );
  }

  /** Called on every socket of an upgrade; our deadlines do not need it. */
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  override _read(): void {
    this.#deliver();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    setTimeout(() => {
      if (this.#socket.destroyed) done();
      else this.#socket.write(chunk, done);
    }, SLOW_DELAY_MS);
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearInterval(this.#stalls);
    this.#socket.destroy();
    done(error);
  }

  /** One portion at a time, delayed by the line's latency and bandwidth. */
  #deliver(): void {
    if (this.#waiting || this.destroyed) return;
    const size = Math.min(this.#socket.readableLength, SLOW_PORTION_BYTES);
    // Nothing to read yet, but this call makes the socket read on.
    const bytes: Buffer | null = this.#socket.read(size || undefined);
    if (bytes === null) return;
    this.#waiting = true;
    const stallMs = Math.max(0, this.#stalledUntil - Date.now());
    const narrowMs = (bytes.length / SLOW_BYTES_PER_S) * 1000;
    setTimeout(
      () => {
        this.#waiting = false;
        if (this.destroyed) return;
        if (this.push(bytes)) this.#deliver();
      },
      SLOW_DELAY_MS + stallMs + narrowMs,
    );
  }
}
