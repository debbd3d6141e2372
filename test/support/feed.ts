/** Gateways on real sockets, and a client that writes down every frame it is sent. */
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import { WebSocket } from 'ws';
import { createAuth, type Role } from '../../api/auth.ts';
import { Gateway, type GatewayOptions } from '../../api/feed/gateway.ts';
import { SERVER_FRAMES, type ServerEvent } from '../../api/feed/server-frames.ts';
import { validate } from '../../api/validate.ts';
import type { TrackedFix } from '../../engine/drivers/parts.ts';
import type { Engine } from '../../engine/engine.ts';
import type { DispatchConfig } from '../../engine/process/config.ts';
import { createRegistry } from '../../engine/process/metrics.ts';
import { cleanups, startTestEngine, type TestEngine } from './engine.ts';
import type { DeafProxy } from './proxy.ts';
import { startRedisProxy } from './redis-proxy.ts';
import { until } from './until.ts';

/** Statuses in which a driver keeps a job in his list. */
const OPEN = ['pending', 'confirmed', 'assigned'];

const SECRET = 's'.repeat(32);
export const auth = createAuth({
  secret: SECRET,
  jwksUrl: undefined,
  issuer: undefined,
  audience: undefined,
});

export function tokenFor(role: string, sub: string, ttlS = 600, secret = SECRET): Promise<string> {
  return new SignJWT({ role })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setExpirationTime(Math.floor(Date.now() / 1000) + ttlS)
    .sign(new TextEncoder().encode(secret));
}

export interface TestGateway {
  gateway: Gateway;
  engine: Engine;
  url: string;
}

export interface TestFeed extends TestEngine {
  /** Gateways side by side, each with an engine of its own, as in separate processes. */
  gateways: [TestGateway, TestGateway];
  /** Between the gateways' subscriptions and Redis. */
  channels: DeafProxy;
}

/** Two gateways over the same stores. */
export async function startTestFeed(
  settings: Partial<DispatchConfig> = {},
  options: { heartbeatMs?: number; databaseUrl?: string } = {},
): Promise<TestFeed> {
  const listeners: ((fixes: readonly TrackedFix[]) => void)[] = [];
  let channels: DeafProxy | undefined;
  const t = await startTestEngine(
    settings,
    undefined,
    (index, fixes) => listeners[index]?.(fixes),
    undefined,
    async (redis) => {
      channels ??= await startRedisProxy(redis);
      return channels.url;
    },
    options.databaseUrl,
  );
  const proxy = channels;
  if (!proxy) throw new Error('no proxy');
  cleanups.push(() => proxy.close());
  const start = async (engine: Engine, index: number): Promise<TestGateway> => {
    const { heartbeatMs } = options;
    const served = await serveGateway(engine, { ...(heartbeatMs && { heartbeatMs }) });
    listeners[index] = (fixes) => served.gateway.onTracked(fixes);
    return served;
  };
  const gateways: TestFeed['gateways'] = [
    await start(t.engine, 0),
    await start(await t.another(), 1),
  ];
  return Object.assign(t, { gateways, channels: proxy });
}

/** A gateway on a socket of its own, drained at the end of the file. */
export async function serveGateway(
  engine: Engine,
  options: Partial<GatewayOptions> = {},
): Promise<TestGateway> {
  const gateway = new Gateway({ engine, auth, registry: createRegistry(), ...options });
  const server: Server = createServer();
  server.on('upgrade', (request, socket, head) => {
    void gateway.handleUpgrade(request, socket, head);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    await gateway.drain();
    server.closeAllConnections();
    server.close();
  });
  await until(() => gateway.ready(), { what: 'the gateway is ready' });
  return { gateway, engine, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws` };
}

export interface Frame {
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: frames of every kind are looked at field by field
  data: any;
}

/** Every frame that a test sees is as `asyncapi.json` says. */
function checkFrame({ event, data }: Frame): void {
  const schema = SERVER_FRAMES[event as ServerEvent];
  if (!schema) throw new Error(`the server sent an undocumented ${event}`);
  const [broken] = validate(schema, data);
  if (broken) throw new Error(`the server's ${event}: ${broken.field} ${broken.rule}`);
}

/** A client without any logic of its own. */
export class TestClient {
  readonly ws: WebSocket;
  readonly frames: Frame[] = [];
  closed: { code: number; reason: string } | null = null;
  #ref = 0;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (data) => {
      const frame = JSON.parse(data.toString()) as Frame;
      checkFrame(frame);
      this.frames.push(frame);
    });
    ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    ws.on('error', () => {});
  }

  /** Connects and waits for the first snapshot. */
  static async connect(url: string, role: Role, sub: string, ttlS?: number, secret?: string) {
    const token = await tokenFor(role, sub, ttlS, secret);
    const client = TestClient.open(url, { authorization: `Bearer ${token}` });
    await client.next(role === 'operator' || role === 'viewer' ? 'ops:snapshot' : 'feed:snapshot');
    return client;
  }

  /** Connects with these headers. */
  static open(url: string, headers: Record<string, string>): TestClient {
    return new TestClient(new WebSocket(url, { headers }));
  }

  of(event: string): Frame['data'][] {
    return this.frames.filter((frame) => frame.event === event).map((frame) => frame.data);
  }

  /** Waits for a frame of this kind that fits. */
  async next(event: string, fits: (data: Frame['data']) => boolean = () => true) {
    return until(() => this.of(event).find(fits), { what: `${event} among ${this.said()}` });
  }

  said(): string {
    return this.frames.map((frame) => frame.event).join(', ');
  }

  send(event: string, data: object = {}): void {
    this.ws.send(JSON.stringify({ event, data }));
  }

  /** Sends a frame and waits for its ack. */
  async ask(event: string, data: object = {}): Promise<Frame['data']> {
    const ref = `r${++this.#ref}`;
    this.ws.send(JSON.stringify({ event, data, ref }));
    return this.next('ack', (ack) => ack.ref === ref);
  }

  /** The feed that these frames add up to, by the rules for apps (docs/driver-apps.md): job id → version. */
  feed(): Map<string, number> {
    const held = new Map<string, number>();
    /** The lowest version of a job that is news still. */
    const least = new Map<string, number>();
    for (const { event, data } of this.frames) {
      if (event === 'feed:snapshot') {
        held.clear();
        least.clear();
        for (const { id, version } of data.jobs) {
          held.set(id, version);
          least.set(id, version);
        }
      }
      if (!['job:new', 'job:removed', 'job:status'].includes(event)) continue;
      const { version } = data;
      const id = data.id ?? data.job_id;
      if (version < (least.get(id) ?? 0)) continue;
      const closed = event === 'job:status' && !OPEN.includes(data.status);
      least.set(id, closed ? version + 1 : version);
      if (closed || event === 'job:removed') held.delete(id);
      else if (event === 'job:new' || held.has(id)) held.set(id, version);
    }
    return held;
  }

  async close(): Promise<void> {
    this.ws.close();
    await until(() => this.closed);
  }
}

/** A new approved driver, on the first gateway. */
export async function connectDriver(t: TestFeed, ttlS?: number) {
  const id = `d-${randomUUID()}`;
  await t.driver(id);
  return { id, client: await TestClient.connect(t.gateways[0].url, 'driver', id, ttlS) };
}

/** With which code the server closes this connection. */
export async function closeCode(client: TestClient): Promise<number | undefined> {
  await until(() => client.closed, { what: 'closed' });
  return client.closed?.code;
}
