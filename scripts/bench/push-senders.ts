/** Senders that the push benchmark compares: ours, two libraries, and `agent.request` alone. */
import { randomUUID } from 'node:crypto';
import apn from '@parse/node-apn';
import { ApnsClient, Notification } from 'apns2';
import http2, { Agent } from 'http2-wrapper';
import { importPKCS8, SignJWT } from 'jose';
import { createApnsClient } from '../../workers/push/apns/client.ts';

/** Where the simulator is, and the key it accepts. */
export interface Target {
  url: string;
  ca: string;
  key: string;
  keyId: string;
  teamId: string;
}

export interface PushSender {
  name: string;
  /** Resolves when the push is accepted, else rejects. */
  send(token: string): Promise<void>;
  close(): Promise<void>;
}

const TOPIC = 'app.muster.driver';
const ALERT = { title: 'New Job Nearby', body: '1 Main St - $149.5' };
const DATA = { job_id: '6f1c2a34-0000-4000-8000-000000000000', type: 'job:new', version: 1 };
const LIFE_S = 600;
const QUIET = { info: () => {}, warn: () => {}, error: () => {} };
const payload = JSON.stringify({ aps: { alert: ALERT, sound: 'default' }, ...DATA });
const expiration = () => Math.floor(Date.now() / 1000) + LIFE_S;

export function muster(target: Target): PushSender {
  const client = createApnsClient({ ...target, log: QUIET });
  return {
    name: 'muster',
    async send(token) {
      const outcome = await client.send({
        token,
        topic: TOPIC,
        payload,
        collapseId: DATA.job_id,
        expiration: expiration(),
        apnsId: randomUUID(),
        lane: 'nearby',
      });
      if (outcome.outcome !== 'sent') throw new Error(JSON.stringify(outcome));
    },
    close: () => client.close(),
  };
}

/** Its `MultiProvider` holds as many connections as we do. */
export function nodeApn({ url, ca, key, keyId, teamId }: Target): PushSender {
  const { hostname, port } = new URL(url);
  const provider = new apn.MultiProvider({
    clientCount: 2,
    token: { key, keyId, teamId },
    address: hostname,
    port: Number(port),
    ca: [ca],
    production: false,
  });
  return {
    name: '@parse/node-apn',
    async send(token) {
      const note = new apn.Notification({
        topic: TOPIC,
        alert: ALERT,
        sound: 'default',
        payload: DATA,
        expiry: expiration(),
        collapseId: DATA.job_id,
        pushType: 'alert',
        priority: 10,
      });
      const { failed } = await provider.send(note, token);
      if (failed.length > 0) throw new Error(JSON.stringify(failed));
    },
    close: async () => provider.shutdown(),
  };
}

export function apns2({ url, ca, key, keyId, teamId }: Target): PushSender {
  const client = new ApnsClient({ team: teamId, keyId, signingKey: key, defaultTopic: TOPIC });
  // It always uses port 443: this is the same pool, with its options, at the simulator's port.
  type Pool = typeof client.client;
  const Pool = client.client.constructor as new (url: string, options: object) => Pool;
  const pool = new Pool(url, {
    connections: 32,
    pipelining: 1,
    allowH2: true,
    maxConcurrentStreams: 100,
    connect: { ca },
  });
  void client.client.close();
  Object.assign(client, { client: pool });
  return {
    name: 'apns2',
    async send(token) {
      const options = { alert: ALERT, sound: 'default', data: DATA, expiration: expiration() };
      await client.send(new Notification(token, { ...options, collapseId: DATA.job_id }));
    },
    close: () => client.close(),
  };
}

/** `http2-wrapper` and nothing else: no deadline, no outcome, no pool. */
export function bareAgent({ url, ca, key, keyId, teamId }: Target): PushSender {
  const agent = new Agent({ timeout: 0, maxEmptySessions: 2 });
  const options = { ca };
  const signed = importPKCS8(key, 'ES256').then((signer) =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: keyId })
      .setIssuer(teamId)
      .setIssuedAt()
      .sign(signer),
  );
  return {
    name: 'agent.request',
    async send(token) {
      const headers = {
        ':method': 'POST',
        ':path': `/3/device/${token}`,
        authorization: `bearer ${await signed}`,
        'apns-id': randomUUID(),
        'apns-topic': TOPIC,
        'apns-push-type': 'alert',
        'apns-priority': '10',
        'apns-expiration': String(expiration()),
        'apns-collapse-id': DATA.job_id,
        [http2.sensitiveHeaders]: [':path', 'authorization'],
      };
      const stream = await agent.request(url, options, headers, {});
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let status = 0;
      stream.on('error', () => {});
      stream.on('response', (answer) => {
        status = Number(answer[':status']);
      });
      stream.once('close', () => (status === 200 ? resolve() : reject(new Error(`${status}`))));
      stream.resume();
      stream.end(payload);
      await promise;
    },
    close: async () => agent.destroy(),
  };
}
