/**
 * Admits a call: token, user, role, pace, in this order and before any of the body is read.
 * A route names its roles in its config; one without roles is open to anyone.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Actor } from '../engine/domain/job.ts';
import type { Engine } from '../engine/engine.ts';
import { type Auth, bearer, type Identity, type Role, UnauthorizedError } from './auth.ts';
import { ApiError } from './errors.ts';
import { isFromConsole } from './ops/address.ts';
import type { Entry } from './ops/entry.ts';
import { limitCalls } from './rate-limit.ts';
import { createSignOfLife } from './sign-of-life.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The roles that may call; by default anyone, without a token. */
    roles?: readonly Role[];
    /** Reads a page of rows, or a driver's counters: see the rate limit. */
    isExpensive?: boolean;
  }
  interface FastifyRequest {
    identity: Identity | null;
  }
}

export type Guard = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

export interface GuardOptions {
  auth: Auth;
  engine: Engine;
  entry: Entry;
  /** The path under which a proxy serves everything; empty where there is none. */
  base: string;
}

export function createGuard({ auth, engine, entry, base }: GuardOptions): Guard {
  const rateLimit = limitCalls();
  const signOfLife = createSignOfLife(engine);
  async function callerOf({ headers }: FastifyRequest): Promise<Identity> {
    const token = bearer(headers.authorization);
    if (token === null) throw new UnauthorizedError('A bearer token is needed');
    const identity = await auth.verify(token);
    if (await engine.users.isBlocked(identity.sub)) throw new ApiError('blocked');
    return identity;
  }
  return async (request) => {
    const { roles, isExpensive } = request.routeOptions.config;
    if (!roles) return;
    const identity = isFromConsole(request, base)
      ? await entry.visitorOf(request)
      : await callerOf(request);
    const { sub, role } = identity;
    // Any other call counts as a sign of life, even a refused one.
    if (role === 'driver') signOfLife(sub);
    if (!roles.includes(role)) throw new ApiError('forbidden');
    if (role === 'driver' || role === 'customer') {
      const retryAfterMs = rateLimit.take(`${role}:${sub}`, performance.now(), isExpensive);
      if (retryAfterMs > 0) throw new ApiError('rate_limited', { retryAfterMs });
    }
    request.identity = identity;
  };
}

/** The caller. Only for routes with roles. */
export function identityOf(request: FastifyRequest): Identity {
  if (!request.identity) throw new Error('a route without roles asks who calls');
  return request.identity;
}

/** The caller as timelines name him. Only for routes of roles that change something. */
export function actorOf({ role, sub }: Identity): Actor {
  if (role === 'viewer') throw new ApiError('forbidden');
  return `${role}:${sub}`;
}
