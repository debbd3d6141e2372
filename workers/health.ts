/** A worker's own port: health, readiness and metrics. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { listenAs } from '../engine/process/main.ts';
import { createScrape } from '../engine/process/scrape.ts';

interface HealthParts {
  host: string;
  /** Nothing is served when none is configured. */
  workerPort: number | undefined;
  registry: Registry;
  /** The state of everything that the worker needs. */
  ready: () => Record<string, 'ok' | 'failed'>;
  stopping: AbortSignal;
}

/**
 * Serves `/healthz`, `/readyz` and `/metrics`, each of which answers at once, whatever hangs; and
 * `/metrics.json` for an api of the development stack, which gives up by itself.
 */
export async function serveHealth(parts: HealthParts): Promise<Server | undefined> {
  const { host, workerPort: port, registry, ready, stopping } = parts;
  if (port === undefined) return undefined;
  const scrape = createScrape(registry);
  const server = createServer(async (request, response) => {
    const json = (status: number, body: object) =>
      response
        .writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
        .end(JSON.stringify(body));
    const [path] = (request.url ?? '').split('?');
    if (path === '/healthz') {
      json(200, { status: 'ok' });
    } else if (path === '/readyz') {
      const checks = ready();
      const well = !stopping.aborted && Object.values(checks).every((state) => state === 'ok');
      json(well ? 200 : 503, { status: well ? 'ready' : 'not_ready', checks });
    } else if (path === '/metrics') {
      response.setHeader('content-type', registry.contentType).end(await scrape());
    } else if (path === '/metrics.json') {
      json(200, await registry.getMetricsAsJSON());
    } else {
      response.writeHead(404).end();
    }
  });
  await listenAs({ host, port, variable: 'WORKER_PORT' }, async () => {
    server.listen(port, host);
    await once(server, 'listening');
  });
  return server;
}

/** Where it listens, if it does. */
export function portOf(server: Server | undefined): number | undefined {
  return (server?.address() as AddressInfo | undefined)?.port;
}
