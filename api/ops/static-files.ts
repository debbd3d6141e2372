/**
 * The console's files under `/ops/static/`: all of the folder `static/`, and under `vendor/` unchanged
 * files from packages. They hold no data, so they are open to anyone: the page that says how to get in
 * needs them too.
 */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyInstance } from 'fastify';

const FOLDER = new URL('static/', import.meta.url);
/** Names with no dot but that of their ending: no name leads out of the folder. */
const NAME = /^(?:[\w-]+\/)*[\w-]+\.(\w+)$/;
const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};
const VENDOR: Readonly<Record<string, string>> = {
  'vendor/preact.js': 'htm/preact/standalone',
  'vendor/uplot.js': 'uplot/dist/uPlot.esm.js',
  'vendor/uplot.css': 'uplot/dist/uPlot.min.css',
};

interface File {
  etag: string;
  text: Buffer;
  zipped: Buffer;
}

export function staticRoutes(app: FastifyInstance): void {
  const read = createReader();
  app.get<{ Params: { '*': string } }>(
    '/ops/static/*',
    { schema: { hide: true } },
    async (request, reply) => {
      const name = request.params['*'];
      const type = TYPES[NAME.exec(name)?.[1] ?? ''];
      const file = type === undefined ? null : await read(name);
      if (!file) return reply.callNotFound();
      // Revalidated each time: a page of today must not run with a module of yesterday.
      reply.headers({ 'cache-control': 'no-cache', etag: file.etag, vary: 'accept-encoding' });
      if (request.headers['if-none-match'] === file.etag) return reply.code(304).send();
      reply.type(type as string);
      if (!/\bgzip\b/.test(String(request.headers['accept-encoding']))) {
        return reply.send(file.text);
      }
      return reply.header('content-encoding', 'gzip').send(file.zipped);
    },
  );
}

/** Reads a file by a safe name; null when there is none. An unchanged file is zipped only once. */
function createReader(): (name: string) => Promise<File | null> {
  const known = new Map<string, File>();
  return async (name) => {
    const text = await readFile(placeOf(name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EISDIR') return null;
      throw error;
    });
    if (!text) return null;
    // Weak, since the tag is the same whether the file is sent zipped or not.
    const etag = `W/"${hash('sha256', text, 'base64url')}"`;
    const before = known.get(name);
    if (before?.etag === etag) return before;
    const file = { etag, text, zipped: await promisify(gzip)(text) };
    known.set(name, file);
    return file;
  };
}

function placeOf(name: string): string {
  const specifier = VENDOR[name];
  return fileURLToPath(
    specifier === undefined ? new URL(name, FOLDER) : import.meta.resolve(specifier),
  );
}
