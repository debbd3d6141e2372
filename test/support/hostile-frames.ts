/**
 * What a broken or hostile client may put on an open feed socket, made from a seeded generator:
 * violations of RFC 6455 with the close code that each must earn, and traffic that is well formed
 * but wrong, greedy or random.
 */
import type { Random } from '../../scripts/replay/random.ts';
import { frameOf } from './raw-socket.ts';

/** The feed's own limit on one message. */
const FRAME_MAX = 4096;

const below = (random: Random, limit: number) => Math.floor(random() * limit);
const oneOf = <T>(random: Random, items: readonly T[]): T =>
  items[below(random, items.length)] as T;
const noise = (random: Random, length: number) =>
  Buffer.from(Array.from({ length }, () => below(random, 256)));

/** Each ends the connection with this code, wherever in the traffic it comes. */
export const VIOLATIONS: Record<string, { code: number; make(random: Random): Buffer }> = {
  unmasked: { code: 1002, make: () => frameOf({ payload: heartbeat, masked: false }) },
  'reserved bits': {
    code: 1002,
    make: (random) =>
      frameOf({ first: 0x81 | oneOf(random, [0x10, 0x20, 0x30, 0x40]), payload: heartbeat }),
  },
  'reserved opcode': {
    code: 1002,
    make: (random) => frameOf({ first: 0x80 | oneOf(random, [3, 5, 7, 11, 14, 15]) }),
  },
  'control frame too long': {
    code: 1002,
    make: (random) =>
      frameOf({ first: oneOf(random, [0x88, 0x89, 0x8a]), payload: noise(random, 126) }),
  },
  'control frame in pieces': {
    code: 1002,
    make: (random) => frameOf({ first: oneOf(random, [0x08, 0x09, 0x0a]), payload: 'x' }),
  },
  'continuation of nothing': { code: 1002, make: () => frameOf({ first: 0x80, payload: 'x' }) },
  'text within a text': {
    code: 1002,
    make: () => Buffer.concat([frameOf({ first: 0x01, payload: '{' }), frameOf({ payload: '}' })]),
  },
  'close code of nobody': {
    code: 1002,
    make: (random) => {
      const code = Buffer.alloc(2);
      code.writeUInt16BE(oneOf(random, [0, 999, 1004, 1005, 1006, 2999, 65_535]));
      return frameOf({ first: 0x88, payload: code });
    },
  },
  'invalid UTF-8': {
    code: 1007,
    make: (random) => {
      const bad = oneOf(random, [
        [0xff],
        [0xc3, 0x28],
        [0xed, 0xa0, 0x80],
        [0xf4, 0x90, 0x80, 0x80],
      ]);
      return frameOf({ payload: Buffer.from([0x22, ...bad, 0x22]) });
    },
  },
  oversized: {
    code: 1009,
    make: (random) => frameOf({ payload: Buffer.alloc(FRAME_MAX + 1 + below(random, 9000), 'x') }),
  },
  'oversized in pieces': {
    code: 1009,
    make: () => {
      const piece = Buffer.alloc(1000, 'x');
      const rest = Array.from({ length: 17 }, () => frameOf({ first: 0x00, payload: piece }));
      return Buffer.concat([frameOf({ first: 0x01, payload: piece }), ...rest]);
    },
  },
  'length of four exabytes': {
    code: 1009,
    make: () => {
      const frame = frameOf({ payload: 'x', length: 70_000 });
      frame.writeBigUInt64BE(2n ** 52n, 2);
      return frame;
    },
  },
};

/** More of these than the feed admits end the connection with 4029. */
export const FLOODS: Record<string, (random: Random) => Buffer> = {
  pings: (random) => frameOf({ first: 0x89, payload: noise(random, below(random, 126)) }),
  pongs: (random) => frameOf({ first: 0x8a, payload: noise(random, below(random, 126)) }),
  heartbeats: () => frameOf({ payload: heartbeat }),
};

/** One frame that RFC 6455 allows: a command, something near one, or nonsense. */
export function allowedFrame(random: Random, jobs: readonly string[]): Buffer {
  const kind = random();
  if (kind < 0.35) return frameOf({ payload: heartbeat });
  if (kind < 0.5) return frameOf({ payload: command(random, jobs) });
  if (kind < 0.8) return frameOf({ payload: oneOf(random, WRONG_SHAPES) });
  if (kind < 0.85) return frameOf({ first: 0x82, payload: noise(random, below(random, 200)) });
  if (kind < 0.9) return frameOf({ first: oneOf(random, [0x89, 0x8a]), payload: 'x' });
  return inPieces(random, oneOf(random, [heartbeat, command(random, jobs), '{"event":']));
}

const heartbeat = '{"event":"heartbeat"}';

function command(random: Random, jobs: readonly string[]): string {
  const job_id = oneOf(random, [...jobs, 'x', '830000fffffffff-0', `${'9'.repeat(128)}`]);
  const [lat, lng] = [37.7 + random() / 10, -122.4 - random() / 10];
  const frame = oneOf(random, [
    { event: 'location', data: { lat, lng } },
    { event: 'location', data: { lat, lng, recorded_at: new Date(below(random, 2 ** 42)) } },
    { event: 'availability', data: { online: random() < 0.8 } },
    { event: 'accept', data: { job_id } },
    { event: 'decline', data: { job_id, reason: oneOf(random, ['far', '\u0000', '日本', '💥']) } },
    { event: 'auth', data: { token: `${random()}.${random()}.x` } },
  ]);
  return JSON.stringify(random() < 0.5 ? { ...frame, ref: `r${below(random, 99)}` } : frame);
}

const WRONG_SHAPES = [
  ...['', '0', '"x"', '[]', '[[[[]]]]', 'null', 'true', '{}', '{"event":null}', '{"event":7}'],
  ...['{"event":"constructor"}', '{"event":"__proto__"}', '{"event":"toString","data":[]}'],
  ...['{"event":"hello"}', '{"event":"heartbeat","data":[]}', '{"event":"heartbeat","ref":{}}'],
  ...['{"event":"heartbeat","ref":""}', '{"event":"location"}', '{"event":"location","data":[]}'],
  '{"event":"location","data":{"lat":1e999,"lng":0}}',
  '{"event":"location","data":{"lat":"1","lng":null}}',
  '{"event":"location","data":{"lat":-0.0,"lng":180.0000001}}',
  '{"event":"accept","data":{"job_id":{"$ne":null}}}',
  '{"event":"accept","data":{"job_id":"\\u0000"}}',
  '{"event":"accept","data":{"job_id":"\\ud800"}}',
  '{"event":"accept","data":{"job_id":"{}:jobs *"}}',
  '{"event":"accept","data":{"__proto__":{"job_id":"x"}}}',
  '{"event":"decline","data":{"job_id":"\\ud800-x","reason":"\\udfff"}}',
  '{"event":"auth","data":{"token":""}}',
  `{"event":"heartbeat","data":${'{"a":'.repeat(600)}1${'}'.repeat(600)}}`,
  `${'['.repeat(4000)}`,
];

/** The same text in frames of a few bytes, with a ping between some of them. */
function inPieces(random: Random, text: string): Buffer {
  const bytes = Buffer.from(text);
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + below(random, 12);
    const last = at + size >= bytes.length;
    const first = (last ? 0x80 : 0) | (at === 0 ? 0x01 : 0);
    frames.push(frameOf({ first, payload: bytes.subarray(at, at + size) }));
    if (!last && random() < 0.1) frames.push(frameOf({ first: 0x89 }));
    at += size;
  }
  return Buffer.concat(frames);
}
