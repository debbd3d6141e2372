/** Stores with as few rights as docs/operations.md asks for: Redis over TLS with a user, a pooled Postgres with a role. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { inject } from 'vitest';
import { migrate } from '../../engine/pg/migrate.ts';
import { makeCertificate } from '../../scripts/apns-simulator/certificate.ts';
import { freePort } from '../../scripts/dev/ports.ts';
import { closers } from './cleanups.ts';
import { emptyDatabase, startPgBouncer } from './pgbouncer.ts';
import { startServer } from './redis-servers.ts';

const PASSWORD = 'a-secret-password';

/** TLS, the user of docs/operations.md, and database 3. */
export async function startGuardedRedis() {
  const { key, cert } = makeCertificate();
  const file = (name: string, text: string | Buffer) => {
    const place = path.join(inject('suiteDir'), name);
    writeFileSync(place, text);
    return place;
  };
  const [keyFile, certFile] = [file('redis.key', key as string), file('redis.crt', cert as string)];
  const tlsPort = await freePort();
  const server = await startServer([
    `tls-port ${tlsPort}`,
    `tls-key-file ${keyFile}`,
    `tls-cert-file ${certFile}`,
    `tls-ca-cert-file ${certFile}`,
    'tls-auth-clients no',
  ]);
  closers.push(() => server.kill());
  const line = /^ACL SETUSER muster (.*)$/m.exec(readFileSync('docs/operations.md', 'utf8'))?.[1];
  const admin = new Redis(server.url);
  const rules = (line ?? '').split(' ').map((rule) => rule.replace(/^>.*/, `>${PASSWORD}`));
  await admin.call('ACL', 'SETUSER', 'muster', ...rules);
  closers.push(() => admin.disconnect());
  return {
    url: `rediss://muster:${PASSWORD}@localhost:${tlsPort}/3`,
    caFile: certFile,
    password: PASSWORD,
    admin,
  };
}

/** Through PgBouncer in transaction mode, migrated through it by the owner, for a role that owns nothing. */
export async function startPooledPostgres(program: string) {
  const direct = await emptyDatabase();
  const owner = await startPgBouncer(direct, program);
  closers.push(() => owner.stop());
  await Promise.all([migrate(owner.url), migrate(owner.url)]);
  await migrate(owner.url);
  const grants = /```sql\n(CREATE ROLE muster_run .*?)```/s.exec(
    readFileSync('docs/operations.md', 'utf8'),
  )?.[1];
  const admin = postgres(direct, { max: 1, onnotice: () => {} });
  closers.push(() => admin.end());
  await admin.unsafe('drop role if exists muster_run');
  await admin.unsafe(grants ?? '');
  const run = new URL(direct);
  [run.username, run.password] = ['muster_run', 'PASSWORD'];
  const bouncer = await startPgBouncer(run.href, program);
  closers.push(() => bouncer.stop());
  // Roles are the whole server's.
  closers.push(async () => {
    await admin.unsafe('drop owned by muster_run; drop role muster_run');
  });
  return { url: bouncer.url, direct, admin };
}
