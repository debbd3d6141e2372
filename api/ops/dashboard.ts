/** The BullMQ dashboard at `/ops/queues`: tasks waiting, failed, retried; behind `console.ts`. */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Queue } from 'bullmq';
import type { FastifyPluginAsync } from 'fastify';

export const DASHBOARD_PATH = '/ops/queues';

export function createDashboard(queues: readonly Queue[]): FastifyPluginAsync {
  const server = new FastifyAdapter();
  server.setBasePath(DASHBOARD_PATH);
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue)),
    serverAdapter: server,
    options: { uiConfig: { boardTitle: 'Muster queues' } },
  });
  return async (app) => {
    await app.register(server.registerPlugin());
  };
}
