import type { TObject } from 'typebox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ERRORS } from '../../api/errors.ts';
import * as schemas from '../../api/schemas.ts';
import { type Api, startApi } from './support.ts';

interface Operation {
  summary?: string;
  tags?: string[];
  security?: object[];
  requestBody?: { required: boolean; content: Record<string, { example?: object }> };
  responses: Record<string, { description: string; content?: Record<string, Content> }>;
}
interface Content {
  examples?: Record<string, { value: { code: string } }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
}

let api: Api;
let document: Document;
beforeAll(async () => {
  api = await startApi();
  document = (await api.anyone<Document>('GET', '/openapi.json')).body;
});
afterAll(() => api[Symbol.asyncDispose]());

/** Every HTTP call of the contract. */
const CALLS = [
  ...['PUT /api/drivers/me', 'GET /api/drivers/me', 'PUT /api/drivers/me/availability'],
  ...['POST /api/drivers/location', 'GET /api/drivers/jobs/available'],
  ...['POST /api/drivers/jobs/{id}/accept', 'POST /api/drivers/jobs/{id}/decline'],
  ...['POST /api/drivers/jobs/{id}/status', 'POST /api/drivers/jobs/{id}/release'],
  ...['POST /api/jobs', 'GET /api/jobs', 'GET /api/jobs/{id}', 'POST /api/jobs/{id}/confirm'],
  ...['POST /api/jobs/{id}/cancel', 'GET /api/jobs/{id}/timeline', 'POST /api/push/tokens'],
  ...['DELETE /api/push/tokens/{token}', 'POST /api/push/test', 'GET /api/notifications'],
  ...['POST /api/notifications/{id}/read', 'PUT /api/drivers/{id}'],
  ...[
    'POST /api/ops/jobs/{id}/assign',
    'POST /api/ops/jobs/{id}/release',
    'POST /api/ops/jobs/{id}/dispatch',
    'GET /api/ops/jobs/{id}/explain',
    'GET /api/ops/jobs',
    'GET /api/ops/drivers',
    'GET /api/ops/drivers/{id}',
    'GET /api/ops/health',
    'GET /api/ops/health/history',
    'PUT /api/ops/users/{id}',
    'GET /healthz',
    'GET /readyz',
    'GET /metrics',
  ],
];

test('every call is described, with what it refuses', () => {
  expect(document.openapi).toBe('3.1.0');
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      call: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );
  expect(operations.map(({ call }) => call).sort()).toEqual([...CALLS].sort());
  for (const { call, operation } of operations) {
    expect(operation.summary, call).toMatch(/\S/);
    const open = call.startsWith('GET /healthz') || /readyz|metrics/.test(call);
    expect(operation.security, call).toEqual(open ? [] : [{ bearer: [] }]);
    expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true);
    if (!open) expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['401']));
  }
});

test('what is no JSON is not described as such', () => {
  const metrics = document.paths['/metrics']?.get?.responses['200'];
  expect(Object.keys(metrics?.content ?? {})).toEqual(['text/plain']);
});

test('bodies are required where they are', () => {
  const required = (path: string) => document.paths[path]?.post?.requestBody?.required;
  expect(required('/api/jobs')).toBe(true);
  expect(required('/api/drivers/location')).toBe(true);
  expect(required('/api/jobs/{id}/cancel')).toBe(false);
  expect(required('/api/drivers/jobs/{id}/accept')).toBe(false);
});

test('the examples of bodies keep their own rules', () => {
  const bodies = Object.values(schemas).filter(
    (schema): schema is TObject & { examples: object[] } =>
      typeof schema === 'object' && 'examples' in schema,
  );
  expect(bodies.length).toBeGreaterThan(5);
  for (const body of bodies) expect(schemas.validate(body, body.examples[0])).toEqual([]);
});

test('every refusal that is named has an example with its status', () => {
  for (const methods of Object.values(document.paths)) {
    for (const { responses } of Object.values(methods)) {
      for (const [status, { content }] of Object.entries(responses)) {
        for (const [code, { value }] of Object.entries(
          content?.['application/json']?.examples ?? {},
        )) {
          expect(value.code).toBe(code);
          expect(ERRORS[code as keyof typeof ERRORS][0]).toBe(Number(status));
        }
      }
    }
  }
});

test('an odd name in a path is refused with a code that is documented', async () => {
  for (const [path, methods] of Object.entries(document.paths)) {
    if (!path.includes('{')) continue;
    for (const [method, { responses, requestBody }] of Object.entries(methods)) {
      for (const role of ['driver', 'customer', 'operator'] as const) {
        const example = requestBody?.content['application/json']?.example;
        const call = [method.toUpperCase(), path.replace(/\{\w+\}/, 'a%20b')] as const;
        const { status, body } = await api.as(role, 'u1')<{ code: string }>(...call, example);
        const content = responses[status]?.content?.['application/json'];
        const codes = Object.keys(content?.examples ?? {});
        expect(codes, `${call.join(' ')} by a ${role}: ${status}`).toContain(body.code);
      }
    }
  }
});

test('the pages load what they need from here', async () => {
  const page = await api.anyone<string>('GET', '/docs');
  expect(page.status).toBe(200);
  expect(page.body).not.toMatch(/<script>|https?:\/\//);
  const [, script] = /src="([^"]+swagger-initializer\.js)"/.exec(page.body) ?? [];
  expect(await api.anyone('GET', script ?? '')).toMatchObject({ status: 200 });
  expect(await api.anyone('GET', '/docs/json')).toMatchObject({ status: 200 });
});

test('the feed is described as well', async () => {
  const { status, body } = await api.anyone('GET', '/asyncapi.json');
  expect(status).toBe(200);
  expect(body).toMatchObject({ asyncapi: '3.0.0' });
});
