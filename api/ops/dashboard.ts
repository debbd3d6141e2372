/**
 * The BullMQ dashboard at `/ops/queues`: tasks waiting, failed, retried; behind `console.ts`. What it
 * lacks is added here: it says when Redis does not answer, loads nothing from elsewhere, links back
 * to the console and from each task to its job, and lets viewers change nothing.
 */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Queue } from 'bullmq';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { withDeadline } from '../../engine/process/deadline.ts';
import { ApiError } from '../errors.ts';
import type { Refuse } from '../refuse.ts';

export const DASHBOARD_PATH = '/ops/queues';

/** How long to wait for Redis: meanwhile the page shows its old counts. */
const ANSWER_MS = 1000;
/** The board asks for each queue every few seconds; one check of Redis serves all. */
const ASK_EVERY_MS = 500;
/** The board's own page fetches its fonts from elsewhere, which our policy forbids. */
const FOREIGN_FONTS = /<link href="https:\/\/fonts\.googleapis\.com[^>]*>\s*/;

/** Makes the dashboard; `base` is the path under which a proxy serves everything. */
export type Dashboard = (base: string, refuse: Refuse) => FastifyPluginAsync;

export function createDashboard(queues: readonly Queue[]): Dashboard {
  return (base, refuse) => {
    const server = new FastifyAdapter();
    server.setBasePath(base + DASHBOARD_PATH);
    createBullBoard({
      queues: queues.map((queue) => {
        return new BullMQAdapter(queue, { externalJobUrl: (task) => jobPage(base, task.data) });
      }),
      serverAdapter: server,
      options: { uiConfig: uiConfig(base) },
    });
    return async (app) => {
      const answers = redisAnswers(queues);
      app.get('/answers', { schema: { hide: true } }, async () => ({ redis: await answers() }));
      tellTheTruth(app, answers, refuse);
      addOurs(app, base);
      await app.register(server.registerPlugin());
    };
  };
}

/** Without Redis the board would wait for ever: it gets a refusal instead, and shows it. */
function tellTheTruth(app: FastifyInstance, answers: () => Promise<boolean>, refuse: Refuse): void {
  app.addHook('preHandler', async (request, reply) => {
    if (!request.url.includes('/queues/api/') || (await answers())) return;
    refuse(new ApiError('try_again', { retryAfterMs: ANSWER_MS }), request, reply);
    return reply;
  });
}

/** Adds the console's frame to the board's page, and makes its answers say that viewers may only read. */
function addOurs(app: FastifyInstance, base: string): void {
  const { head, header } = frameOf(base);
  app.addHook('preSerialization', async (request, _reply, payload) => {
    if (request.identity?.role !== 'viewer') return payload;
    const { queues, ...rest } = payload as { queues?: object[] };
    if (!Array.isArray(queues)) return payload;
    return { ...rest, queues: queues.map((queue) => ({ ...queue, readOnlyMode: true })) };
  });
  app.addHook('onSend', async (_request, reply, payload) => {
    const isPage = String(reply.getHeader('content-type')).startsWith('text/html');
    if (!isPage || typeof payload !== 'string') return payload;
    const page = payload
      .replace(FOREIGN_FONTS, '')
      .replace('</head>', `${head}</head>`)
      .replace('<div id="root">', `${header}<div id="root">`);
    reply.header('content-length', Buffer.byteLength(page));
    return page;
  });
}

/** The header of the console's own pages. */
function frameOf(base: string): { head: string; header: string } {
  const file = (name: string) => `${base}/ops/static/${name}`;
  return {
    head: `<link rel="stylesheet" href="${file('tokens.css')}"><link rel="stylesheet" href="${file('queues.css')}"><script src="${file('queues.js')}"></script>`,
    header: `<header class="frame">
<a href="${base}/ops" class="brand" aria-label="Muster, live"><img src="${file('icon.svg')}" width="22" height="22" alt="">Muster</a>
<nav aria-label="Pages">
<a href="${base}/ops">Live</a><a href="${base}/ops/drivers">Drivers</a><a href="${base}/ops/health">Health</a>
<a href="${base}/ops/queues" aria-current="page">Queues</a>
</nav></header><p id="trouble" role="alert" hidden></p>`,
  };
}

/** The console's colours (`static/tokens.css`) under the board's names. */
const THEME = {
  ...{ 'font-sans': 'system-ui, sans-serif', 'font-mono': 'ui-monospace, monospace' },
  ...{ background: 'var(--bg)', card: 'var(--surface)', sidebar: 'var(--surface)' },
  ...{ popover: 'var(--raised)', accent: 'var(--raised)', border: 'var(--line)' },
  ...{ foreground: 'var(--text)', 'muted-foreground': 'var(--quiet)' },
  ...{ primary: 'light-dark(#1a5bc9, #77aaff)', 'primary-foreground': 'var(--on-accent)' },
};

function uiConfig(base: string) {
  const icon = `${base}/ops/static/icon.svg`;
  return {
    boardTitle: 'Muster queues',
    boardLogo: { path: icon, width: 24, height: 24 },
    favIcon: { default: icon, alternative: icon },
    hideDocsLink: true,
    theme: { light: THEME, dark: THEME },
  };
}

/** Tasks hold the id of a job, or of a notification about one. */
function jobPage(base: string, data: { job_id?: string; notification_id?: string }) {
  const { job_id, notification_id } = data;
  const page = job_id === undefined ? `notifications/${notification_id}` : `jobs/${job_id}`;
  return { displayText: 'Job', href: `${base}/ops/${page}` };
}

/** Does Redis answer? One check serves all requests of a moment. */
function redisAnswers([queue]: readonly Queue[]): () => Promise<boolean> {
  let asked: Promise<boolean> = Promise.resolve(true);
  let askedAt = Number.NEGATIVE_INFINITY;
  const ask = async () => {
    const late = () => new Error('Redis does not answer');
    try {
      await withDeadline(Promise.resolve(queue?.getJobCountByTypes('active')), ANSWER_MS, late);
      return true;
    } catch {
      return false;
    }
  };
  return () => {
    if (performance.now() - askedAt < ASK_EVERY_MS) return asked;
    askedAt = performance.now();
    asked = ask();
    return asked;
  };
}
