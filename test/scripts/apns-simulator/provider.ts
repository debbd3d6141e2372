/** A provider that does as it is told, right or wrong: one connection to the simulator. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, type IncomingHttpHeaders, sensitiveHeaders } from 'node:http2';
import { importPKCS8, SignJWT } from 'jose';
import type { Simulator } from '../../../scripts/apns-simulator/simulator.ts';
import { cleanups } from '../../support/engine.ts';
import { until } from '../../support/until.ts';

export const TOPIC = 'app.muster.driver';
export const TOKEN = 'a'.repeat(64);
export const ALERT = JSON.stringify({ aps: { alert: 'x' } });

export interface Answer {
  status: number;
  reason?: string;
  timestamp?: number;
  headers: IncomingHttpHeaders;
}

export interface SigningKey {
  key: string;
  keyId: string;
  teamId: string;
}

export const keyOf = ({ keyFile, keyId, teamId }: Simulator): SigningKey => ({
  key: readFileSync(keyFile, 'utf8'),
  keyId,
  teamId,
});

export function newKey(keyId: string, teamId: string): SigningKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), keyId, teamId };
}

export async function sign({ key, keyId, teamId }: SigningKey, ageS = 0): Promise<string> {
  const jwt = new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid: keyId })
    .setIssuer(teamId)
    .setIssuedAt(Math.floor(Date.now() / 1000) - ageS);
  return `bearer ${await jwt.sign(await importPKCS8(key, 'ES256'))}`;
}

export async function connectTo(simulator: Simulator, key = keyOf(simulator)) {
  const session = connect(simulator.url, { ca: readFileSync(simulator.caFile) });
  session.on('error', () => {});
  cleanups.push(() => session.destroy());
  let authorization = await sign(key);

  /** An alert to `TOKEN`, except for these headers; a header that is null is left out. */
  function send(headers: Record<string, string | string[] | null> = {}, payload = ALERT) {
    const all = {
      ':method': 'POST',
      ':path': `/3/device/${TOKEN}`,
      authorization,
      'apns-topic': TOPIC,
      'apns-push-type': 'alert',
      ...headers,
    };
    const present = Object.entries(all).filter(([, value]) => value !== null);
    const stream = session.request({
      ...(Object.fromEntries(present) as Record<string, string | string[]>),
      [sensitiveHeaders]: [':path', 'authorization'],
    });
    const { promise, resolve } = Promise.withResolvers<Answer>();
    let answer: IncomingHttpHeaders = {};
    let body = '';
    stream.on('response', (received) => {
      answer = received;
    });
    stream.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    stream.on('error', () => {});
    stream.once('close', () => {
      const said = body === '' ? {} : JSON.parse(body);
      resolve({ ...said, status: Number(answer[':status'] ?? 0), headers: answer });
    });
    stream.end(payload);
    return promise;
  }

  return {
    send,
    to: (token: string, headers = {}, payload = ALERT) =>
      send({ ':path': `/3/device/${token}`, ...headers }, payload),
    /** From now on. */
    use(other: string) {
      authorization = other;
    },
    /** Resolves when the server allows so many streams. */
    allows: (streams: number) =>
      until(() => session.remoteSettings.maxConcurrentStreams === streams, {
        what: `${streams} streams, not ${session.remoteSettings.maxConcurrentStreams}`,
      }),
  };
}
