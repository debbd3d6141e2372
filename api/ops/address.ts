/**
 * The console's cookie is sent to addresses under `/ops` alone, so every call is there a second time:
 * `/ops/api/…` is `/api/…`, for who has the cookie.
 */
import type { FastifyRequest } from 'fastify';
import { withoutBase } from '../base-path.ts';

const CALLS = '/ops/api/';

/** The address as the routes know it; `base` is empty, or like `/dispatch`. */
export function toRoute(url: string, base: string): string {
  const path = withoutBase(url, base);
  return path.startsWith(CALLS) ? path.slice('/ops'.length) : path;
}

/** Was a call made at its second address? */
export function isFromConsole({ originalUrl }: FastifyRequest, base: string): boolean {
  return withoutBase(originalUrl, base).startsWith(CALLS);
}
