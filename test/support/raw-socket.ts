/**
 * A client that speaks whatever a test wants on a TCP socket, right or wrong, and reads what the
 * server answers: the HTTP status, the events of its frames and the code of its close frame.
 */
import { once } from 'node:events';
import net from 'node:net';

/** What one raw connection came to. */
export class RawSocket {
  readonly socket: net.Socket;
  /** 0 until the server has answered the request. */
  status = 0;
  readonly events: string[] = [];
  /** Of the server's close frame; null without one. */
  closeCode: number | null = null;
  ended = false;
  #bytes: Buffer = Buffer.alloc(0);

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('close', () => {
      this.ended = true;
    });
    // A reset by the server is an answer like any other.
    socket.on('error', () => {});
  }

  /** Connects; a refused connection throws. */
  static async connect(port: number): Promise<RawSocket> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawSocket(socket);
  }

  /** Writes, and waits when the server does not read as fast; what it has closed takes nothing. */
  async write(bytes: Buffer | string): Promise<void> {
    if (this.ended || this.socket.destroyed || this.socket.write(bytes)) return;
    const limit = AbortSignal.timeout(WRITE_LIMIT_MS);
    await Promise.race([
      once(this.socket, 'drain', { signal: limit }),
      once(this.socket, 'close', { signal: limit }),
    ]).catch(() => {});
  }

  #read(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    if (this.status === 0) {
      const end = this.#bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.status = Number(this.#bytes.toString('latin1', 9, 12));
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    while (this.status === 101 && this.#readFrame());
  }

  #readFrame(): boolean {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    const short = (bytes[1] as number) & 0x7f;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < header) return false;
    const length = header === 2 ? short : header === 4 ? bytes.readUInt16BE(2) : wide(bytes);
    if (bytes.length < header + length) return false;
    const payload = bytes.subarray(header, header + length);
    this.#bytes = bytes.subarray(header + length);
    const opcode = (bytes[0] as number) & 0x0f;
    if (opcode === 8) this.closeCode = length >= 2 ? payload.readUInt16BE(0) : 1005;
    else if (opcode === 1) this.events.push(EVENT.exec(payload.toString())?.[1] ?? '?');
    return true;
  }
}

const EVENT = /^\{"event":"([^"]+)"/;
/** A server that has stopped reading us closes us sooner. */
const WRITE_LIMIT_MS = 5000;

function wide(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE(2));
}

export interface FrameParts {
  /** FIN, three reserved bits and the opcode, as on the wire. */
  first?: number;
  payload?: Buffer | string;
  masked?: boolean;
  /** What the header says; by default the payload's own length. */
  length?: number;
}

/** A client's frame; by default a masked text frame in one piece. */
export function frameOf({ first = 0x81, payload = '', masked = true, length }: FrameParts): Buffer {
  const body = Buffer.from(payload);
  const said = length ?? body.length;
  const size = said < 126 ? 0 : said < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + size + (masked ? 4 : 0));
  head[0] = first;
  head[1] = (masked ? 0x80 : 0) | (size === 0 ? said : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(said, 2);
  if (size === 8) head.writeBigUInt64BE(BigInt(said), 2);
  if (masked) {
    const key = [0x12, 0xa4, 0x5c, 0xff];
    for (const [i, byte] of key.entries()) head[2 + size + i] = byte;
    for (let i = 0; i < body.length; i++) body[i] = (body[i] as number) ^ (key[i % 4] as number);
  }
  return Buffer.concat([head, body]);
}

/** A WebSocket upgrade; `change` may break any line of it. */
export function upgradeRequest(token: string, change: Record<string, string | null> = {}): string {
  const headers: Record<string, string | null> = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    Authorization: `Bearer ${token}`,
    ...change,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === null || name === 'line' ? [] : [`${name}: ${value}`],
  );
  return [change.line ?? 'GET /ws HTTP/1.1', ...lines, '', ''].join('\r\n');
}
