import { describe, expect, it } from 'vitest';
import { asyncApi } from '../../../api/feed/asyncapi.ts';

/** Every `$ref` of a document, and whether it leads anywhere. */
function refs(document: object): { ref: string; target: unknown }[] {
  const found: string[] = [];
  JSON.stringify(document, (key, value) => {
    if (key === '$ref') found.push(value);
    return value;
  });
  return found.map((ref) => ({
    ref,
    target: ref
      .slice(2)
      .split('/')
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document),
  }));
}

describe('asyncapi.json', () => {
  const document = JSON.parse(JSON.stringify(asyncApi('')));

  it('has the shape that AsyncAPI 3 asks for', () => {
    expect(document).toMatchObject({
      asyncapi: '3.0.0',
      info: { title: expect.any(String), version: expect.any(String) },
      channels: { feed: { address: '/ws' } },
    });
    for (const operation of Object.values(document.operations)) {
      expect(operation).toMatchObject({ channel: { $ref: '#/channels/feed' } });
    }
    expect(refs(document).length).toBeGreaterThan(15);
    for (const { ref, target } of refs(document)) expect(target, ref).toBeDefined();
  });

  it('says how a client shows who he is', () => {
    const { bearer } = document.components.securitySchemes;
    expect(bearer).toMatchObject({ type: 'http', scheme: 'bearer' });
    for (const operation of Object.values(document.operations)) {
      expect(operation).toMatchObject({
        security: expect.arrayContaining([{ $ref: '#/components/securitySchemes/bearer' }]),
      });
    }
  });

  it('names every frame of the contract', () => {
    const { messages } = document.channels.feed;
    const names = Object.values(messages as Record<string, { name: string }>).map((m) => m.name);
    expect(names.sort()).toEqual(
      [
        ...['accept', 'auth', 'availability', 'decline', 'heartbeat', 'location'],
        ...['ack', 'driver:location', 'error', 'feed:degraded', 'feed:live', 'feed:snapshot'],
        ...[
          'ops:cells',
          'ops:driver',
          'ops:fixes',
          'ops:health',
          'ops:job',
          'ops:snapshot',
          'view',
        ],
        ...['hello', 'job:driver-assigned', 'job:new', 'job:removed', 'job:status', 'notification'],
      ].sort(),
    );
  });
});
