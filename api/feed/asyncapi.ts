/**
 * `/asyncapi.json`: the feed for machines, made of the schemas that check the frames.
 * AsyncAPI 3.0: one channel is the connection, every frame a message; close codes have no place in
 * the standard and are listed as `x-close-codes`.
 */
import { type TSchema, Type } from 'typebox';
import { CLOSE_MEANINGS } from '../../engine/domain/close-codes.ts';
import { CLIENT_FRAMES } from './client-frames.ts';
import { SERVER_FRAMES } from './server-frames.ts';

/** Either of the two suffices. */
const SECURITY = {
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
  subprotocol: {
    type: 'httpApiKey',
    in: 'header',
    name: 'Sec-WebSocket-Protocol',
    description: 'muster.v1, bearer.<JWT>, for clients that cannot set Authorization',
  },
};
const Ref = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'Repeated in the ack',
});

/** The whole document; `base` is the path under which a proxy serves everything. */
export function asyncApi(base: string) {
  const fromClient = messages(CLIENT_FRAMES, true);
  const fromServer = messages(SERVER_FRAMES, false);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Muster feed',
      version: '1.0.0',
      description:
        'The live feed of a driver or a customer, and of operators and viewers, whose pages open it at /ops/feed with their cookie. Text frames of JSON, no compression; at most 4 KiB from a client, 16 KiB for auth. The token comes in the Authorization header, or as the second of the subprotocols muster.v1, bearer.<JWT>. An upgrade is refused with 401 without a valid token, 403 for another role or a blocked user, 429 beyond ten a second of one user, 503 when this server takes none now.',
    },
    defaultContentType: 'application/json',
    channels: {
      feed: {
        address: `${base}/ws`,
        messages: { ...fromClient, ...fromServer },
        bindings: { ws: { method: 'GET', bindingVersion: '0.1.0' } },
      },
    },
    operations: {
      receive: operation('send', Object.keys(fromServer), 'What the server sends'),
      send: operation('receive', Object.keys(fromClient), 'What a client may send'),
    },
    components: { securitySchemes: SECURITY },
    'x-close-codes': CLOSE_MEANINGS,
  };
}

function messages(frames: Record<string, TSchema>, withRef: boolean) {
  return Object.fromEntries(
    Object.entries(frames).map(([event, data]) => {
      const payload = Type.Object(
        { event: Type.Literal(event), data, ...(withRef && { ref: Type.Optional(Ref) }) },
        { additionalProperties: false },
      );
      const name = event.replaceAll(':', '_');
      return [name, { name: event, title: event, payload }];
    }),
  );
}

/** `action` is what this server does with the messages. */
function operation(action: 'send' | 'receive', names: readonly string[], summary: string) {
  return {
    action,
    summary,
    security: Object.keys(SECURITY).map((name) => ({
      $ref: `#/components/securitySchemes/${name}`,
    })),
    channel: { $ref: '#/channels/feed' },
    messages: names.map((name) => ({ $ref: `#/channels/feed/messages/${name}` })),
  };
}
