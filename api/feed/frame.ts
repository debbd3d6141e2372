/**
 * Frames to clients, encoded once and shared by every socket that gets them. They are written to the
 * TCP socket unchanged: nothing is compressed or masked towards a client (RFC 6455, section 5.2), so
 * one Buffer serves all. Only a message too large for a phone's line to take at once is sent in
 * fragments.
 */

/** The opcodes of a text frame, of its later fragments, and of a ping and a pong with FIN. */
const [TEXT, CONTINUATION, FIN] = [0x01, 0x00, 0x80];
const [PING_OP, PONG_OP] = [0x89, 0x8a];
/** Larger messages go in fragments of this size: a ping or a close may go out between two. */
const FRAGMENT = 64 * 1024;

/** A ping without a payload. */
export const PING = Buffer.from([PING_OP, 0]);

/** The answer to a ping; its payload is at most 125 bytes, as `ws` has checked. */
export function pongFrame(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([PONG_OP, payload.length]), payload]);
}

/** A text frame, ready to be written. */
export function textFrame(text: string): Buffer {
  return frame(TEXT | FIN, Buffer.from(text));
}

/** A text message of any size: one frame, or fragments to be written in this order. */
export function textFrames(text: string): Buffer[] {
  const payload = Buffer.from(text);
  const frames: Buffer[] = [];
  for (let from = 0; from === 0 || from < payload.length; from += FRAGMENT) {
    const last = from + FRAGMENT >= payload.length;
    const opcode = (from === 0 ? TEXT : CONTINUATION) | (last ? FIN : 0);
    frames.push(frame(opcode, payload.subarray(from, from + FRAGMENT)));
  }
  return frames;
}

function frame(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = first;
  if (header === 2) {
    frame[1] = length;
  } else if (header === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  payload.copy(frame, header);
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
