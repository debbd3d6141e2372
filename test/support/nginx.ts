/** An nginx of our own in front of api processes, as deployers put one there: only what the tests need. */
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { cleanups } from './engine.ts';
import { until } from './until.ts';

/** The nginx of this machine, if there is one; Debian keeps it where only root's PATH leads. */
export function findNginx(): string | undefined {
  const dirs = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin'];
  return dirs
    .map((dir) => path.join(dir, 'nginx'))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

export interface NginxOptions {
  /** Ports of the api processes. */
  upstreams: readonly number[];
  /** Where it puts them; the path is passed on, or taken away where `strips`. */
  location: string;
  strips?: boolean;
  /** What it says of TLS that it ended. */
  forwardedProto?: string;
}

/** Starts one and resolves with its URL; it ends with the test file. */
export async function startNginx(file: string, options: NginxOptions): Promise<string> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-nginx-'));
  mkdirSync(path.join(dir, 'logs'));
  const port = await freePort();
  writeFileSync(path.join(dir, 'nginx.conf'), configOf(dir, port, options));
  const child = spawn(file, ['-p', dir, '-c', path.join(dir, 'nginx.conf'), '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (data) => {
    said += data;
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  cleanups.push(async () => {
    child.kill('SIGQUIT');
    setTimeout(() => child.kill('SIGKILL'), 2000).unref();
    await ended;
    rmSync(dir, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await until(
    () =>
      fetch(url).then(
        () => true,
        () => false,
      ),
    { what: `nginx listens: ${said}` },
  );
  return url;
}

function configOf(dir: string, port: number, options: NginxOptions): string {
  const { upstreams, location, strips = false, forwardedProto = 'http' } = options;
  const own = process.getuid?.() === 0 ? 'user root;' : '';
  return `
${own}
worker_processes 1;
pid ${dir}/nginx.pid;
error_log ${dir}/logs/error.log;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream api {
    ${upstreams.map((one) => `server 127.0.0.1:${one} max_fails=0;`).join('\n    ')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    location ${location} {
      proxy_pass http://api${strips ? '/' : ''};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto ${forwardedProto};
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }
}
`;
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
