/**
 * The control API, plain HTTP and JSON:
 * `GET /pushes[?job_id=]`, `GET /phones/<token>`, `GET /stats`,
 * `PUT /tokens/<token> {status, reason, timestamp?}` or `DELETE` (what a phone answers),
 * `POST /faults {kind, count?, status?, reason?, ms?}` and `DELETE /faults`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FAULT_KINDS, type Fault, type Faults } from './faults.ts';
import type { Phones } from './phones.ts';
import type { Refusal } from './request-check.ts';
import type { Connections } from './simulator.ts';

const BODY_MAX = 16 * 1024;

class BadRequest extends Error {}

export function controlHandler({
  faults,
  phones,
  connections,
}: {
  faults: Faults;
  phones: Phones;
  connections: Connections;
}) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    route(request).then(
      (body) => reply(response, body === undefined ? 204 : 200, body),
      (error: unknown) => {
        const known = error instanceof BadRequest || error instanceof SyntaxError;
        reply(response, known ? 400 : 500, { error: String(error) });
      },
    );
  };

  async function route(request: IncomingMessage): Promise<unknown> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const [, what, name = ''] = pathname.split('/');
    switch (`${request.method} ${what}`) {
      case 'GET pushes':
        return { pushes: phones.records(searchParams.get('job_id') ?? undefined) };
      case 'GET phones':
        return { shown: phones.shown(name) };
      case 'GET stats':
        return {
          ...phones.stats(),
          connections: { opened: connections(), open: connections.open() },
        };
      case 'PUT tokens':
        return faults.setAnswer(name, readAnswer(await readJson(request)));
      case 'DELETE tokens':
        return faults.setAnswer(name, null);
      case 'POST faults':
        return faults.add(readFault(await readJson(request)));
      case 'DELETE faults':
        return faults.clear();
      default:
        throw new BadRequest(`there is no ${request.method} ${pathname}`);
    }
  }
}

function readAnswer(value: Partial<Refusal>): Refusal {
  if (typeof value.status !== 'number' || typeof value.reason !== 'string') {
    throw new BadRequest('status (number) and reason (string) are needed');
  }
  const { status, reason, timestamp } = value;
  return { status, reason, ...(timestamp !== undefined && { timestamp }) };
}

function readFault(value: Partial<Fault>): Fault {
  const kind = FAULT_KINDS.find((known) => known === value.kind);
  if (!kind) throw new BadRequest(`kind must be one of ${FAULT_KINDS.join(', ')}`);
  return { ...value, kind };
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
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
