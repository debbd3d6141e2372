/**
 * The control API, plain HTTP and JSON, below the path that `controlUrl` has. Without it nobody is answered: other
 * users of the machine reach the port as well, and would read device tokens and texts.
 * `GET /pushes[?job_id=]`, `GET /phones/<token>`, `GET /stats`, `GET /metrics` (for Prometheus),
 * `PUT /tokens/<token> {status, reason, timestamp?}` or `{answers: [fault, …]}` or `DELETE` (what a
 * phone answers), `POST /faults {kind, count?, status?, reason?, ms?, …}` and `DELETE /faults`,
 * `POST /release` (pushes that are held), `PUT /settings {…}` and `DELETE /settings`,
 * `PUT /phones/<token> {environment?, topic?, goneSince?, expiredSince?, offline?}`,
 * `PUT /keys/<key id> {key, teamId, environment?}`. Fields as in `faults.ts`, `settings.ts` and
 * `registry.ts`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Parts } from './answering.ts';
import { FAULT_KINDS, type Fault } from './faults.ts';
import type { Connections } from './listener.ts';
import type { ProviderAuth, ProviderIdentity } from './provider-auth.ts';
import { faultOfRegistration, type Registration } from './registry.ts';
import type { Refusal } from './request-check.ts';
import { defaultSettings, ENVIRONMENTS, faultOfSettings } from './settings.ts';

const BODY_MAX = 16 * 1024;

class BadRequest extends Error {}

interface ControlParts
  extends Pick<Parts, 'faults' | 'phones' | 'registry' | 'settings' | 'counts'> {
  auth: ProviderAuth;
  connections: Connections;
  /** The path below which it is served. */
  base: string;
}

export function controlHandler(parts: ControlParts) {
  const { faults, phones, registry, settings, counts, auth, connections, base } = parts;
  return (request: IncomingMessage, response: ServerResponse): void => {
    if (!request.url?.startsWith(`${base}/`)) {
      reply(response, 404, { error: 'not found' });
      return;
    }
    route(request).then(
      (body) => reply(response, body === undefined ? 204 : 200, body),
      (error: unknown) => {
        const known = error instanceof BadRequest || error instanceof SyntaxError;
        reply(response, known ? 400 : 500, { error: String(error) });
      },
    );
  };

  async function route(request: IncomingMessage): Promise<unknown> {
    const asked = request.url?.slice(base.length) ?? '/';
    const { pathname, searchParams } = new URL(asked, 'http://localhost');
    const [, what, name = ''] = pathname.split('/');
    switch (`${request.method} ${what}`) {
      case 'GET pushes':
        return { pushes: phones.records(searchParams.get('job_id') ?? undefined) };
      case 'GET phones':
        return { shown: phones.shown(name) };
      case 'PUT phones':
        return setPhone(name, await readJson(request));
      case 'GET stats':
        return {
          ...phones.stats(),
          ...counts,
          connections: { opened: connections(), open: connections.open() },
        };
      case 'GET metrics':
        return metricsText(parts);
      case 'PUT tokens':
        return faults.setAnswers(name, readAnswers(await readJson(request)));
      case 'DELETE tokens':
        return faults.setAnswer(name, null);
      case 'POST faults':
        return faults.add(readFault(await readJson(request)));
      case 'DELETE faults':
        return faults.clear();
      case 'POST release':
        return faults.release();
      case 'PUT settings':
        return Object.assign(settings, allowed(await readJson(request), faultOfSettings));
      case 'DELETE settings':
        return Object.assign(settings, defaultSettings());
      case 'PUT keys':
        return auth.accept(readKey(name, await readJson(request)));
      default:
        throw new BadRequest(`there is no ${request.method} ${pathname}`);
    }
  }

  function setPhone(token: string, body: Registration & { offline?: unknown }): void {
    const { offline, ...registration } = body;
    if (offline !== undefined && typeof offline !== 'boolean') {
      throw new BadRequest('offline must be true or false');
    }
    registry.register(token, allowed(registration, faultOfRegistration));
    if (offline !== undefined) phones.setOffline(token, offline);
  }
}

function allowed<T extends object>(value: T, faultOf: (value: T) => string | null): T {
  const fault = faultOf(value);
  if (fault !== null) throw new BadRequest(fault);
  return value;
}

function readAnswers(value: Partial<Refusal> & { answers?: unknown }): Fault[] {
  if (Array.isArray(value.answers)) return value.answers.map(readFault);
  const { status, reason, timestamp } = value;
  if (typeof status !== 'number' || typeof reason !== 'string') {
    throw new BadRequest('status (number) and reason (string) are needed');
  }
  return [{ kind: 'status', status, reason, ...(timestamp !== undefined && { timestamp }) }];
}

function readFault(value: Partial<Fault>): Fault {
  const kind = FAULT_KINDS.find((known) => known === value?.kind);
  if (!kind) throw new BadRequest(`kind must be one of ${FAULT_KINDS.join(', ')}`);
  return { ...value, kind };
}

function readKey(keyId: string, value: Partial<ProviderIdentity>): ProviderIdentity {
  const { key, teamId, environment } = value;
  if (typeof key !== 'string' || typeof teamId !== 'string') {
    throw new BadRequest('key (PEM) and teamId are needed');
  }
  if (environment !== undefined && !ENVIRONMENTS.includes(environment)) {
    throw new BadRequest(`environment must be ${ENVIRONMENTS.join(' or ')}`);
  }
  return { key, keyId, teamId, ...(environment && { environment }) };
}

/** The same figures as `GET /stats`, for Prometheus. */
function metricsText({ phones, counts, connections }: ControlParts): string {
  const pushes = [...phones.answers()].map(([answer, count]) => {
    const [status, reason] = answer.split(' ');
    return `apns_simulator_pushes_total{status="${status}",reason="${reason}"} ${count}`;
  });
  return [
    '# TYPE apns_simulator_pushes_total counter',
    ...pushes,
    '# TYPE apns_simulator_connections_total counter',
    `apns_simulator_connections_total ${connections()}`,
    '# TYPE apns_simulator_connections gauge',
    `apns_simulator_connections ${connections.open()}`,
    '# TYPE apns_simulator_streams_given_up_total counter',
    `apns_simulator_streams_given_up_total ${counts.given_up}`,
    '',
  ].join('\n');
}

async function readJson(request: IncomingMessage): Promise<object> {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_MAX) throw new BadRequest('the body is too large');
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new BadRequest('an object is needed');
  return value;
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  const isText = typeof body === 'string';
  const type = isText ? 'text/plain; version=0.0.4' : 'application/json';
  response.writeHead(status, { 'content-type': type });
  response.end(body === undefined || isText ? body : JSON.stringify(body));
}
