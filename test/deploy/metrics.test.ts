/** What dashboard, alarms, autoscalers and probes name is what a running deployment serves. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { freePort } from '../../scripts/dev/ports.ts';
import { type Stack, startStack } from '../../scripts/dev/stack.ts';
import { until } from '../support/until.ts';

interface Panel {
  title: string;
  targets?: { expr: string }[];
}

const read = (file: string) => readFileSync(path.join('deploy', file), 'utf8');

const panels: Panel[] = JSON.parse(read('grafana-dashboard.json')).panels;
const queries = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);
const alarms: [string, string][] = parse(read('prometheus-rules.yaml')).groups[0].rules.map(
  ({ alert, expr }: { alert: string; expr: string }) => [alert, expr],
);

const manifests = ['api.yaml', 'workers.yaml']
  .flatMap((file) => parseAllDocuments(read(`kubernetes/${file}`)))
  .map((document) => document.toJS());

let stack: Stack;
let workersUrl: string;
/** The names of what both processes report. */
let reported: Set<string>;

beforeAll(async () => {
  const workerPort = await freePort();
  stack = await startStack({
    stateDir: path.join(inject('suiteDir'), 'deploy-metrics'),
    port: 0,
    host: '127.0.0.1',
    quiet: true,
    env: {
      ...{ DATABASE_URL: undefined, REDIS_URL: undefined, AUTH_JWT_SECRET: undefined },
      ...{ AUTH_JWKS_URL: undefined, NODE_ENV: 'test', APNS_URL: 'https://127.0.0.1:1' },
      WORKER_PORT: String(workerPort),
    },
  });
  workersUrl = `http://127.0.0.1:${workerPort}`;
  const urls = [stack.url, workersUrl];
  const texts = await Promise.all(urls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
  reported = new Set(
    texts.flatMap((text) =>
      [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name as string),
    ),
  );
});

afterAll(() => stack?.stop());

/** Names of series in an expression; a histogram's are reported under its own name. */
function metricsOf(expression: string): string[] {
  const names = expression.match(/\b(muster|process|nodejs)_[a-z0-9_]+/g) ?? [];
  return names.map((name) => name.replace(/_(bucket|sum|count)$/, ''));
}

test.each([...queries, ...alarms])('%s: %s', (_title, expression) => {
  const names = metricsOf(expression);
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) expect([...reported]).toContain(name);
});

test('the autoscalers go by measures that the adapter is told of', () => {
  const adapter = parse(read('kubernetes/prometheus-adapter.yaml')).rules;
  const offered = [...adapter.custom, ...adapter.external].flatMap(
    ({ seriesQuery }: { seriesQuery: string }) => metricsOf(seriesQuery),
  );
  const wanted = manifests
    .filter(({ kind }) => kind === 'HorizontalPodAutoscaler')
    .flatMap(({ spec }) => spec.metrics)
    .flatMap(({ pods, external }) => (pods ?? external)?.metric.name ?? []);
  expect(offered).toEqual(wanted);
  for (const name of wanted) expect([...reported]).toContain(name);
});

test('every probe asks for what is there', async () => {
  const deployments = manifests.filter(({ kind }) => kind === 'Deployment');
  for (const { metadata, spec } of deployments) {
    const url = metadata.name === 'muster-api' ? stack.url : workersUrl;
    const [{ startupProbe, livenessProbe, readinessProbe }] = spec.template.spec.containers;
    for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
      const { path: asked } = probe.httpGet;
      const answers = async () => (await fetch(`${url}${asked}`)).status === 200;
      await until(answers, { what: `${metadata.name} answers ${asked}` });
    }
  }
});

test('Prometheus understands what the dashboard asks', ({ skip }) => {
  skip(spawnSync('promtool', ['--version']).error !== undefined, 'promtool is not on PATH');
  const rules = queries.map(([, expr], index) => ({
    record: `panel_${index}`,
    expr: expr.replaceAll('$__rate_interval', '1m'),
  }));
  const file = path.join(inject('suiteDir'), 'dashboard-rules.json');
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  const { status, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
});
