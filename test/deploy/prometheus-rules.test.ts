/**
 * The alarms: the rule file and docs/operations.md say the same, and each rule fires on the series
 * of the trouble that it is for, and on no others. Prometheus itself evaluates them, by promtool.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, inject, test } from 'vitest';
import { parse } from 'yaml';

interface Rule {
  alert: string;
  expr: string;
  annotations: { summary: string; description: string };
}

const file = path.resolve('deploy/prometheus-rules.yaml');
const rules: Rule[] = parse(readFileSync(file, 'utf8')).groups[0].rules;

/** Series in promtool's notation, a value each 15 s. */
type Series = Record<string, string>;

const GOOD_DAY: Series = {
  'muster_claims_total{instance="api-1",outcome="won"}': '0+50x400',
  'muster_claims_total{instance="api-1",outcome="try_again"}': '0+1x400',
  'muster_feed_lag_seconds_bucket{instance="api-1",le="0.05"}': '0+1000x400',
  'muster_feed_lag_seconds_bucket{instance="api-1",le="+Inf"}': '0+1000x400',
  'muster_feed_resyncs_total{instance="api-1",reason="gap"}': '0+1x400',
  'muster_push_oldest_waiting_seconds{lane="critical"}': '3x400',
  'muster_push_oldest_waiting_seconds{lane="nearby"}': '300x400',
  'muster_push_total{lane="critical",outcome="sent",reason=""}': '0+100x400',
  'muster_push_total{lane="critical",outcome="rejected",reason="Unregistered"}': '0+1x400',
  'muster_push_total{lane="nearby",outcome="rejected",reason="TooManyProviderTokenUpdates"}':
    '3x400',
  'muster_push_undone_notifications{instance="workers-1"}': '2x400',
  'muster_push_tasks{lane="critical",state="failed"}': '4x400',
  'muster_reconciled_total{kind="lease_ended"}': '0+1x400',
  'muster_reconciled_total{kind="zone_rebuilt"}': '0+10x400',
};

/** What is different when the alarm is due; an empty value: the series is not there. */
const TROUBLE: Record<string, Series> = {
  MusterClaimsFail: {
    'muster_claims_total{instance="api-1",outcome="try_again"}': '0+30x400',
  },
  MusterFeedBehind: {
    'muster_feed_lag_seconds_bucket{instance="api-1",le="0.05"}': '0+900x400',
    'muster_feed_lag_seconds_bucket{instance="api-1",le="2.5"}': '0+1000x400',
  },
  MusterFeedsStartOver: {
    'muster_feed_resyncs_total{instance="api-1",reason="gap"}': '0+30x400',
  },
  MusterPushesWait: {
    'muster_push_oldest_waiting_seconds{lane="critical"}': '0+15x400',
  },
  MusterPushesFail: {
    'muster_push_total{lane="critical",outcome="rejected",reason="Unregistered"}': '0+20x400',
  },
  MusterPushesHeldBack: {
    'muster_push_paused{instance="workers-1",scope="key",reason="InvalidProviderToken"}': '1x400',
  },
  MusterNotificationsNotDone: {
    'muster_push_undone_notifications{instance="workers-1"}': '0+1x400',
  },
  MusterTasksFailed: {
    'muster_push_tasks{lane="critical",state="failed"}': '4x270 5x130',
  },
  MusterTokenChangedTooSoon: {
    // The very first of its kind: the series begins with it.
    'muster_push_total{lane="nearby",outcome="rejected",reason="TooManyProviderTokenUpdates"}':
      '_x270 1x130',
  },
  MusterRepairs: {
    'muster_reconciled_total{kind="lease_ended"}': '0+3x400',
  },
  MusterNoWorkerReports: {
    'muster_push_undone_notifications{instance="workers-1"}': '',
  },
};

/** Later than any window of a rule reaches back, so that nothing is new just because it began. */
const EVALUATED_AT = '75m';

const promtool = spawnSync('promtool', ['--version']).error
  ? 'promtool is not on PATH (Debian: prometheus)'
  : undefined;

test('docs/operations.md has the same alarms with the same expressions', () => {
  const operations = readFileSync('docs/operations.md', 'utf8');
  const [, table = ''] = /^## Alarms\n([\s\S]*?)^##/m.exec(operations) ?? [];
  const rows = table
    .split('\n')
    .filter((line) => line.startsWith('|') && line.includes('`'))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|')));
  const documented = rows.map(([, alarm, expression]) => [alarm, expression?.replaceAll('`', '')]);
  const kept = rules.map(({ annotations, expr }) => [
    annotations.summary,
    expr.replaceAll(/\s+/g, ' ').trim(),
  ]);
  expect(documented).toEqual(kept);
});

test('there is a case of trouble for every alarm', () => {
  expect(Object.keys(TROUBLE)).toEqual(rules.map((rule) => rule.alert));
});

test('Prometheus takes the file', ({ skip }) => {
  skip(promtool !== undefined, promtool);
  const { status, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
});

test('none fires on a good day', ({ skip }) => {
  skip(promtool !== undefined, promtool);
  evaluate('good-day', GOOD_DAY, []);
});

test.for(Object.entries(TROUBLE))('%s fires, alone', ([alert, series], { skip }) => {
  skip(promtool !== undefined, promtool);
  evaluate(alert, { ...GOOD_DAY, ...series }, [alert]);
});

/** Fails with promtool's words when other alarms fire than these. */
function evaluate(name: string, series: Series, firing: readonly string[]): void {
  const input = Object.entries(series).filter(([, values]) => values !== '');
  const expected = firing.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 }));
  const cases = {
    rule_files: [file],
    evaluation_interval: '15s',
    tests: [
      {
        interval: '15s',
        input_series: input.map(([one, values]) => ({ series: one, values })),
        promql_expr_test: [
          {
            expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
            eval_time: EVALUATED_AT,
            exp_samples: expected,
          },
        ],
      },
    ],
  };
  const caseFile = path.join(inject('suiteDir'), `alarm-${name}.json`);
  writeFileSync(caseFile, JSON.stringify(cases));
  const result = spawnSync('promtool', ['test', 'rules', caseFile], { encoding: 'utf8' });
  expect(result.status, result.stdout + result.stderr).toBe(0);
}
