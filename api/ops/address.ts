/**
 * Browsers send the console's cookie only to paths under `/ops`, so every call is there a second time:
 * `/ops/api/…` is `/api/…` for callers with the cookie.
 */
import type { FastifyRequest } from 'fastify';
import { withoutBase } from '../base-path.ts';

const CALLS = '/ops/api/';

/** The path as the routes know it; `base` is empty, or like `/dispatch`. */
export function toRoute(url: string, base: string): string {
  const path = withoutBase(url, base);
  return path.startsWith(CALLS) ? path.slice('/ops'.length) : path;
}

/** Was the call made at its second path? */
export function isFromConsole({ originalUrl }: FastifyRequest, base: string): boolean {
  return withoutBase(originalUrl, base).startsWith(CALLS);
}
