/**
 * APNs for development and tests: HTTP/2 over TLS, verified provider tokens, Apple's checks and
 * answers, one stream until the first success as Apple has it. Its control API sets faults and
 * tells what arrived.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { Http2SecureServer, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { answer, type Counts } from './answering.ts';
import { makeCertificate } from './certificate.ts';
import { controlHandler } from './control.ts';
import { createFaults, type Faults } from './faults.ts';
import { type Connections, createListener } from './listener.ts';
import { createPhones, type Phones } from './phones.ts';
import { createProviderAuth, type ProviderAuth } from './provider-auth.ts';
import { createRegistry, type Registry } from './registry.ts';
import { defaultSettings, type Settings } from './settings.ts';
import { readOrMakeKey } from './signing-key.ts';

export interface SimulatorOptions {
  /** Keys, certificate and push log are kept here. */
  dir: string;
  port?: number;
}

export interface Simulator {
  url: string;
  /** Where the control API is; whoever knows it may use it. */
  controlUrl: string;
  caFile: string;
  keyFile: string;
  keyId: string;
  teamId: string;
  pushLog: string;
  /** May be changed at any time. */
  settings: Settings;
  faults: Faults;
  phones: Phones;
  registry: Registry;
  auth: ProviderAuth;
  connections: Connections;
  counts: Readonly<Counts>;
  close(): Promise<void>;
}

/** Starts on 127.0.0.1; resolves when it listens. */
export async function startSimulator({ dir, port = 0 }: SimulatorOptions): Promise<Simulator> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const key = readOrMakeKey(dir);
  const { caFile, ...tls } = readOrMakeCertificate(dir);
  const pushLog = path.join(dir, 'pushes.jsonl');
  const settings = defaultSettings();
  const [faults, phones, registry] = [
    createFaults(),
    createPhones(pushLog),
    createRegistry(settings),
  ];
  const auth = createProviderAuth(settings);
  auth.accept(key);
  const listener = createListener(tls, settings);
  const { server, connections } = listener;
  const counts = { given_up: 0, indexed: 0 };
  const parts = { settings, checkToken: auth.check, faults, phones, registry, listener, counts };
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...more) => {
    // Node's types lack the option that shows duplicate headers.
    const [, rawHeaders] = more as unknown as [flags: number, rawHeaders: string[]];
    stream.on('error', () => {});
    void answer(stream, headers, rawHeaders, parts);
  });
  const base = `/${randomBytes(16).toString('hex')}`;
  const control = createServer(controlHandler({ ...parts, auth, connections, base }));
  const [apnsPort, controlPort] = [await listen(server, port), await listen(control, 0)];
  return {
    // A name, not an address, which TLS does not allow as a server name (RFC 6066).
    url: `https://localhost:${apnsPort}`,
    controlUrl: `http://127.0.0.1:${controlPort}${base}`,
    caFile,
    keyFile: key.keyFile,
    keyId: key.keyId,
    teamId: key.teamId,
    pushLog,
    settings,
    faults,
    phones,
    registry,
    auth,
    connections,
    counts,
    async close() {
      listener.close();
      control.closeAllConnections();
      control.close();
      phones.close();
    },
  };
}

/** Kept, so that clients that trust it need no new one. */
function readOrMakeCertificate(dir: string): { cert: string; key: string; caFile: string } {
  const [caFile, keyFile] = [path.join(dir, 'ca.pem'), path.join(dir, 'tls-key.pem')];
  try {
    const [cert, key] = [readFileSync(caFile, 'utf8'), readFileSync(keyFile, 'utf8')];
    return { cert, key, caFile };
  } catch {
    const made = makeCertificate();
    writeFileSync(keyFile, made.key, { mode: 0o600 });
    writeFileSync(caFile, made.cert);
    return { ...made, caFile };
  }
}

function listen(server: Server | Http2SecureServer, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  return promise;
}
