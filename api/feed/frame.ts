/**
 * Frames to clients, encoded once and shared by every socket that gets them. They are written to
 * the TCP socket as they are: nothing is compressed, fragmented or masked towards a client
 * (RFC 6455, section 5.2), so one Buffer serves all.
 */

/** FIN and the opcodes of a text frame, a ping and a pong. */
const TEXT = 0x81;
const [PING_OP, PONG_OP] = [0x89, 0x8a];

/** A ping without a payload. */
export const PING = Buffer.from([PING_OP, 0]);

/** The answer to a ping; its payload is at most 125 bytes, as `ws` has checked. */
export function pongFrame(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([PONG_OP, payload.length]), payload]);
}

/** A text frame, ready to be written. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = TEXT;
  if (header === 2) {
    frame[1] = length;
  } else if (header === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, header);
  return frame;
}

/** `{"event": …, "data": …}` as a frame. */
export function eventFrame(event: string, data: object): Buffer {
  return textFrame(`{"event":"${event}","data":${JSON.stringify(data)}}`);
}

/** The same where the data is JSON already. */
export function jsonFrame(event: string, json: string): Buffer {
  return textFrame(`{"event":"${event}","data":${json}}`);
}
