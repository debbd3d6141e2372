/**
 * A listening client, as cheap as possible: it reads frames without keeping or parsing them, so that a
 * benchmark measures the server. It speaks our protocol, Socket.IO's (Engine.IO 4 over a WebSocket), or
 * none above the frames.
 */
import net from 'node:net';

export type Protocol = 'muster' | 'socket.io' | 'bare';

const PATHS: Record<Protocol, string> = {
  muster: '/ws',
  'socket.io': '/socket.io/?EIO=4&transport=websocket',
  bare: '/',
};
/** The beginning of a frame with the measured event. */
const DELIVERY: Record<Protocol, string> = {
  muster: '{"event":"job:new"',
  'socket.io': '42["job:new"',
  bare: '{"event":"job:new"',
};
const SNAPSHOT = '{"event":"feed:snapshot"';
const ACK = '{"event":"ack"';
/** RFC 6455, section 5.2. */
const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10];
const NOTHING = Buffer.alloc(0);
/** All listeners of a process read into this one, each one's bytes until they are looked at. */
const BYTES = Buffer.allocUnsafe(64 * 1024);

export class Listener {
  /** Resolves when events are delivered to it from now on. */
  readonly ready: Promise<void>;
  readonly #socket: net.Socket;
  readonly #protocol: Protocol;
  readonly #delivered: (payload: Buffer) => void;
  readonly #joined: () => void;
  /** Called when the server has answered what was sent with a `ref`. */
  acked: () => void = () => {};
  #upgraded = false;
  #rest: Buffer = NOTHING;

  /** `delivered` is called for each delivery, `failed` when the server ends the connection. */
  constructor(
    target: { port: number; protocol: Protocol; token: string },
    on: { delivered(payload: Buffer): void; failed(why: string): void },
  ) {
    this.#protocol = target.protocol;
    this.#delivered = on.delivered;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#joined = resolve;
    this.#socket = net.connect({
      port: target.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: BYTES,
        callback: (length) => {
          this.#read(BYTES.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket.on('connect', () => this.#upgrade(target.token));
    this.#socket.on('error', (error) => on.failed(error.message));
    this.#socket.on('end', () => on.failed('the server ended the connection'));
  }

  /** Reads nothing more, as a phone that has gone to sleep. */
  stall(): void {
    this.#socket.pause();
  }

  /** Sends a text frame. */
  send(text: string): void {
    this.#socket.write(maskedFrame(TEXT, Buffer.from(text)));
  }

  close(): void {
    this.#socket.removeAllListeners('end');
    this.#socket.destroy();
  }

  #upgrade(token: string): void {
    this.#socket.write(
      `GET ${PATHS[this.#protocol]} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n` +
        `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer ${token}\r\n` +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
  }

  #read(bytes: Buffer): void {
    let data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    if (!this.#upgraded) {
      const end = data.indexOf('\r\n\r\n');
      if (end < 0) {
        this.#rest = Buffer.from(data);
        return;
      }
      const status = data.toString('latin1', 9, 12);
      if (status !== '101') throw new Error(`${this.#protocol} answered ${status}`);
      this.#upgraded = true;
      data = data.subarray(end + 4);
      if (this.#protocol === 'bare') this.#joined();
    }
    this.#rest = this.#readFrames(data);
  }

  /** Returns the rest: a frame that is not complete yet. */
  #readFrames(data: Buffer): Buffer {
    let at = 0;
    while (at + 2 <= data.length) {
      const short = (data[at + 1] as number) & 0x7f;
      const header = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (at + header > data.length) break;
      const length =
        header === 2
          ? short
          : header === 4
            ? data.readUInt16BE(at + 2)
            : Number(data.readBigUInt64BE(at + 2));
      const end = at + header + length;
      if (end > data.length) break;
      this.#frame((data[at] as number) & 0x0f, data, at + header, end);
      at = end;
    }
    return at === data.length ? NOTHING : Buffer.from(data.subarray(at));
  }

  #frame(opcode: number, data: Buffer, from: number, to: number): void {
    if (opcode === PING) {
      this.#socket.write(maskedFrame(PONG, data.subarray(from, to)));
      return;
    }
    if (opcode === CLOSE) throw new Error(`closed with ${data.readUInt16BE(from)}`);
    const delivery = DELIVERY[this.#protocol];
    const start = data.toString('latin1', from, Math.min(to, from + SNAPSHOT.length));
    if (start.startsWith(delivery)) this.#delivered(data.subarray(from, to));
    else if (this.#protocol === 'socket.io') this.#engineIo(start);
    else if (start === SNAPSHOT) this.#joined();
    else if (start.startsWith(ACK)) this.acked();
  }

  /** Engine.IO 4: `0` opens, `2` pings; Socket.IO 5 within it: `40` joins the namespace. */
  #engineIo(packet: string): void {
    if (packet.startsWith('40')) this.#joined();
    else if (packet.startsWith('0')) this.send('40');
    else if (packet === '2') this.send('3');
  }
}

/** A client's frame, masked with zeros, which leave the payload as it is. */
function maskedFrame(opcode: number, payload: Buffer): Buffer {
  const header =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0])
      : Buffer.from([
          0x80 | opcode,
          0x80 | 126,
          payload.length >> 8,
          payload.length & 0xff,
          0,
          0,
          0,
          0,
        ]);
  return Buffer.concat([header, payload]);
}
