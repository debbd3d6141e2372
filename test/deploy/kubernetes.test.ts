/**
 * The files for Kubernetes: each is what its API takes, no field is misspelt, and what they give to
 * our processes and expect of them fits. Where kubectl is, kustomize puts them together.
 */
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, inject, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { readConfig } from '../../engine/process/config.ts';

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  // biome-ignore lint/suspicious/noExplicitAny: the schemas below are what says its shape.
  spec: any;
}

const root = 'deploy/kubernetes';
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const kustomizations = ['kustomization.yaml', 'migrate/kustomization.yaml'];

/** Each resource that a kustomization lists, with the file it is in. */
const manifests = kustomizations.flatMap((kustomization) =>
  (parse(read(kustomization)).resources as string[]).flatMap((name) => {
    const file = path.join(path.dirname(kustomization), name);
    const documents = parseAllDocuments(read(file)).map((document) => document.toJS() as Manifest);
    return documents.map((manifest) => [`${manifest.kind} in ${file}`, manifest] as const);
  }),
);

const modelOf = ({ apiVersion }: Manifest) => `kubernetes-models/${apiVersion}`;

test.each(manifests)('%s is what the API takes', async (_name, manifest) => {
  const models = await import(modelOf(manifest));
  new models[manifest.kind](manifest).validate();
});

test('no field is misspelt', () => {
  // The schemas let unknown fields pass; the types made from them do not.
  const dir = path.join(inject('suiteDir'), 'manifests');
  mkdirSync(dir);
  symlinkSync(path.resolve('node_modules'), path.join(dir, 'node_modules'));
  const lines = manifests.map(
    ([, manifest], index) =>
      `import type { I${manifest.kind} as T${index} } from '${modelOf(manifest)}';
export const m${index}: T${index} = ${JSON.stringify(manifest, null, 1)};`,
  );
  writeFileSync(path.join(dir, 'manifests.ts'), lines.join('\n'));
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig'];
  const modules = ['--module', 'nodenext', '--target', 'esnext'];
  const tsc = path.resolve('node_modules/.bin/tsc');
  const args = [...options, ...modules, 'manifests.ts'];
  const { status, stdout } = spawnSync(tsc, args, { cwd: dir, encoding: 'utf8' });
  expect(status, stdout).toBe(0);
});

test('every file is listed', () => {
  const listed = kustomizations.flatMap((file) =>
    parse(read(file)).resources.map((name: string) => path.join(path.dirname(file), name)),
  );
  const present = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.yaml') && !/kustomization|prometheus-adapter/.test(file),
  );
  expect(present.sort()).toEqual(listed.sort());
});

test('the processes start with what they are given', () => {
  const [generator] = parse(read('kustomization.yaml')).configMapGenerator;
  const settings = generator.literals.map((literal: string) => literal.split(/=(.*)/s));
  const secrets = [...read('README.md').matchAll(/--from-(?:literal|file)=([A-Z_]+)=('?)(\S*)\2/g)];
  const given = Object.fromEntries([
    ...settings,
    ...secrets.map(([, name, , value]) => [name, (value as string).replaceAll('…', 'x')]),
    ...containers().flatMap(({ env = [] }) =>
      env.flatMap(({ name, value }: { name: string; value?: string }) =>
        value ? [[name, value]] : [],
      ),
    ),
  ]);
  expect(Object.keys(given)).toContain('DATABASE_URL');
  given.APNS_KEY = signingKey();
  expect(readConfig(given)).toMatchObject({ production: true, workerPort: 8081, port: 8080 });
});

test('nobody is killed before it is done, and none may do more than it needs', () => {
  const ours = manifests.filter(([, { kind }]) => kind === 'Deployment' || kind === 'Job');
  expect(ours).toHaveLength(3);
  for (const [name, manifest] of ours) {
    const pod = manifest.spec.template.spec;
    expect(pod.securityContext, name).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    for (const { lifecycle, securityContext } of pod.containers) {
      expect(securityContext, name).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      if (manifest.kind === 'Job') continue;
      const heldBackS = lifecycle?.preStop.sleep.seconds ?? 0;
      expect(pod.terminationGracePeriodSeconds, name).toBeGreaterThan(heldBackS + DELAY_S + STOP_S);
    }
  }
});

/** What the file of the secret would hold. */
function signingKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** `SHUTDOWN_DELAY_S` as it is in production. */
const DELAY_S = 5;
/** The longer of the limits in which api and workers stop. */
const STOP_S = 15;

function containers() {
  return manifests.flatMap(([, { kind, spec }]) =>
    kind === 'Deployment' ? spec.template.spec.containers : [],
  );
}

test.for(kustomizations)('kustomize puts %s together', (file, { skip }) => {
  skip(spawnSync('kubectl', ['version', '--client']).error !== undefined, 'kubectl is not on PATH');
  const dir = path.join(root, path.dirname(file));
  const result = spawnSync('kubectl', ['kustomize', dir], { encoding: 'utf8' });
  expect(result.status, result.stderr).toBe(0);
  expect(result.stdout).toContain('image: registry.example.com/muster:');
  expect(result.stdout).not.toContain('image: muster\n');
});
