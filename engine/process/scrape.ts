/** The text of `/metrics`: made at most once a second, without metrics that a frozen store holds up. */
import type { Registry } from 'prom-client';
import { SharedRegistry } from './shared-registry.ts';

const MADE_EVERY_MS = 1000;
/** Prometheus gives up later than this; a metric that is not there by then is left out. */
const COLLECT_MS = 800;

/** Never rejects. Never waits for long either, but for the page of several processes. */
export function createScrape(registry: Registry): () => Promise<string> {
  let page: Promise<string> | undefined;
  let madeAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (page && performance.now() - madeAt < MADE_EVERY_MS) return page;
    madeAt = performance.now();
    page = isShared(registry)
      ? registry.metrics().catch(() => ownPage(registry))
      : ownPage(registry);
    return page;
  };
}

/** Does it show other processes' metrics as well? Only in the development stack. */
function isShared(registry: Registry): boolean {
  return registry instanceof SharedRegistry && registry.others.length > 0;
}

/** The metrics of this process; those that are not there in time are left out. */
async function ownPage(registry: Registry): Promise<string> {
  const parts = registry.getMetricsAsArray().map((metric) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const timer = setTimeout(resolve, COLLECT_MS, '');
    registry.getSingleMetricAsString(metric.name).then(resolve, () => resolve(''));
    return promise.finally(() => clearTimeout(timer));
  });
  const texts = await Promise.all(parts);
  return `${texts.filter((text) => text !== '').join('\n\n')}\n`;
}
