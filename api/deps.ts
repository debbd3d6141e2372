/** What routes need: passed from `createApp` to every group of routes. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { Registry } from 'prom-client';
import type { App as NoticeApp } from '../engine/domain/notifications.ts';
import type { Engine } from '../engine/engine.ts';
import type { Config } from '../engine/process/config.ts';
import type { Auth } from './auth.ts';

/** Sends a test push to each phone of a user. */
export type PushTest = (
  userId: string,
  app: NoticeApp,
) => Promise<{ token_suffix: string; status: number | null; reason?: string }[]>;

export interface RouteDeps {
  config: Config;
  engine: Engine;
  auth: Auth;
  registry: Registry;
  feed: { ready(): boolean };
  /** Absent where no push can be sent. */
  pushTest: PushTest | undefined;
}

export type HttpApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
