/** The host that a client asked for, where a proxy may stand between. */
import type { IncomingMessage } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';

export type HostOf = (request: IncomingMessage) => string | undefined;

/** As Fastify's `request.host`: what a trusted proxy forwards, the last of several; else the Host header. */
export function createHostOf(trustedProxies: readonly string[]): HostOf {
  const isTrusted = proxyAddr.compile([...trustedProxies]);
  return ({ headers, socket }) => {
    const forwarded = headers['x-forwarded-host'];
    if (forwarded === undefined || !isTrusted(socket.remoteAddress ?? '', 0)) return headers.host;
    return String(forwarded).split(',').at(-1)?.trim();
  };
}

/**
 * Is a page of this origin a page of this host? Browsers leave the usual port out of an origin, and some proxies
 * put it into the host.
 */
export function isOfHost(origin: string, host: string): boolean {
  const page = URL.parse(origin);
  return page !== null && URL.parse(`${page.protocol}//${host}`)?.host === page.host;
}
