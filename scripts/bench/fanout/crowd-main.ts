/** A process full of listeners. Over its channel it is told where to listen and what to expect. */
import { Listener, type Protocol } from './listener.ts';

export type CrowdOrder =
  | { order: 'open'; crowd: string; port: number; protocol: Protocol; tokens: string[] }
  | { order: 'expect'; crowd: string; each: number }
  | { order: 'locate'; crowd: string; forMs: number; lat: number; lng: number }
  | { order: 'stall'; crowd: string; count: number }
  | { order: 'close'; crowd: string };

export type CrowdAnswer =
  | { answer: 'done' }
  /** All listeners have all events: when the last one and when 99 % had them, epoch ms. */
  | { answer: 'delivered'; lastAt: number; p99At: number; sample: string }
  /** How many fixes were acknowledged, and how old 99 % of them were by then, at most. */
  | { answer: 'located'; fixes: number; p99Ms: number };

/** Handshakes at a time: a server under a connection storm is another benchmark. */
const OPENING = 50;

interface Crowd {
  listeners: Listener[];
  /** Listeners that read. */
  awake: number;
  expected: number;
  times: number[];
  sample: string;
}

const crowds = new Map<string, Crowd>();

process.on('message', (order: CrowdOrder) => void obey(order));

async function obey(order: CrowdOrder): Promise<void> {
  switch (order.order) {
    case 'open':
      await open(order);
      return answer({ answer: 'done' });
    case 'expect': {
      const crowd = crowdOf(order.crowd);
      crowd.expected = order.each * crowd.awake;
      crowd.times = [];
      return answer({ answer: 'done' });
    }
    case 'locate':
      return answer(await locate(crowdOf(order.crowd), order));
    case 'stall': {
      const crowd = crowdOf(order.crowd);
      for (const listener of crowd.listeners.slice(0, order.count)) listener.stall();
      crowd.awake = crowd.listeners.length - order.count;
      return answer({ answer: 'done' });
    }
    case 'close':
      for (const listener of crowdOf(order.crowd).listeners) listener.close();
      crowds.delete(order.crowd);
      return answer({ answer: 'done' });
  }
}

async function open(order: Extract<CrowdOrder, { order: 'open' }>): Promise<void> {
  const crowd: Crowd = { listeners: [], awake: 0, expected: 0, times: [], sample: '' };
  crowds.set(order.crowd, crowd);
  const tokens = [...order.tokens];
  const lane = async () => {
    for (let token = tokens.pop(); token !== undefined; token = tokens.pop()) {
      const listener = new Listener(
        { port: order.port, protocol: order.protocol, token },
        {
          delivered: (payload) => delivered(crowd, payload),
          failed: (why) => {
            if (crowds.get(order.crowd) === crowd) throw new Error(`${order.crowd}: ${why}`);
          },
        },
      );
      crowd.listeners.push(listener);
      await listener.ready;
    }
  };
  await Promise.all(Array.from({ length: OPENING }, lane));
  crowd.awake = crowd.listeners.length;
}

/** Everybody says where he is, and again as soon as that is acknowledged. */
async function locate(
  crowd: Crowd,
  { forMs, lat, lng }: { forMs: number; lat: number; lng: number },
): Promise<CrowdAnswer> {
  const ages: number[] = [];
  const until = performance.now() + forMs;
  const drive = (listener: Listener) =>
    new Promise<void>((resolve) => {
      let sentAt = 0;
      const say = () => {
        sentAt = performance.now();
        const here = { lat: lat + Math.random() / 100, lng: lng + Math.random() / 100 };
        listener.send(JSON.stringify({ event: 'location', data: here, ref: 'l' }));
      };
      listener.acked = () => {
        const now = performance.now();
        if (now > until) return resolve();
        ages.push(now - sentAt);
        say();
      };
      say();
    });
  await Promise.all(crowd.listeners.map(drive));
  const p99Ms = ages.toSorted((a, b) => a - b)[Math.floor(ages.length * 0.99)] ?? Number.NaN;
  return { answer: 'located', fixes: ages.length, p99Ms };
}

function delivered(crowd: Crowd, payload: Buffer): void {
  if (crowd.times.push(performance.timeOrigin + performance.now()) === 1) {
    crowd.sample = payload.toString();
  }
  if (crowd.times.length !== crowd.expected) return;
  const times = crowd.times.toSorted((a, b) => a - b);
  answer({
    answer: 'delivered',
    lastAt: times.at(-1) ?? 0,
    p99At: times[Math.floor(times.length * 0.99)] ?? 0,
    sample: crowd.sample,
  });
}

function crowdOf(name: string): Crowd {
  const crowd = crowds.get(name);
  if (!crowd) throw new Error(`there is no crowd ${name}`);
  return crowd;
}

function answer(message: CrowdAnswer): void {
  process.send?.(message);
}
