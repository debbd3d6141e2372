import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { nowMs, play } from '../../../scripts/replay/clock.ts';
import {
  fileTrace,
  parseEvent,
  surveyTrace,
  TraceError,
  type TraceEvent,
} from '../../../scripts/replay/trace.ts';

const lines = [
  '{"t":0,"type":"location","driver":"cab-1","lat":37.7,"lng":-122.4,"free":true}',
  '{"t":40,"type":"job","job":"pickup-1","lat":37.7,"lng":-122.4,"served_by":"cab-1"}',
  '{"t":90,"type":"location","driver":"cab-2","lat":37.7,"lng":-122.4,"free":false}',
];

async function traceFile(bytes: string | Buffer): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'muster-trace-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const path = join(dir, 'trace');
  await writeFile(path, bytes);
  return path;
}

describe('a trace', () => {
  test.each([
    ['plain', `${lines.join('\n')}\n`],
    ['with blank lines and CRLF', `${lines.join('\r\n\r\n')}\r\n`],
    ['gzipped', gzipSync(lines.join('\n'))],
    ['with the mark of an editor before it', `\uFEFF${lines.join('\n')}`],
  ])('is read %s', async (_title, bytes) => {
    const source = fileTrace(await traceFile(bytes));
    const survey = { events: 3, drivers: ['cab-1', 'cab-2'], jobs: 1, durationMs: 90 };
    expect(await surveyTrace(source)).toMatchObject(survey);
  });

  test('may have names with any characters that JSON allows', async () => {
    const names = ['Zoë \u2028', 'Zoë \u2029', '司机 🚚'];
    const located = names.map((driver, t) =>
      JSON.stringify({ t, type: 'location', driver, lat: 37.7, lng: -122.4, free: true }),
    );
    const { drivers } = await surveyTrace(fileTrace(await traceFile(located.join('\r\n'))));
    expect(drivers).toEqual(names);
  });

  test.each([
    ['{', 'line 7: not JSON'],
    ['null', 'line 7: not an object'],
    ['{"type":"job"}', 't must be'],
    ['{"t":1,"type":"job","job":"a","lat":91,"lng":0}', 'lat must be'],
    ['{"t":1,"type":"job","job":"a","lat":9,"lng":181}', 'lng must be'],
    ['{"t":1,"type":"job","job":"","lat":9,"lng":1}', 'job must be'],
    ['{"t":1,"type":"location","lat":9,"lng":1,"free":true}', 'driver must be'],
    ['{"t":1,"type":"location","driver":"d","lat":9,"lng":1}', 'free must be'],
    ['{"t":1,"type":"ride","lat":9,"lng":1}', 'type must be'],
  ])('does not hold %s', (line, problem) => {
    expect(() => parseEvent(line, 7)).toThrow(problem);
  });

  test('is sorted, names each job once, and exists', async () => {
    const [first = '', job = '', last = ''] = lines;
    const unsorted = fileTrace(await traceFile([last, first].join('\n')));
    await expect(surveyTrace(unsorted)).rejects.toThrow('event 2: t goes back to 0');
    const twice = fileTrace(await traceFile([job, job].join('\n')));
    await expect(surveyTrace(twice)).rejects.toThrow('job pickup-1 again');
    const odd = await traceFile('{');
    await expect(surveyTrace(fileTrace(odd))).rejects.toThrow(`${odd}, line 1: not JSON`);
    await expect(surveyTrace(fileTrace('/nowhere/at/all'))).rejects.toThrow(TraceError);
    const broken = fileTrace(await traceFile(gzipSync(lines.join('\n')).subarray(0, 40)));
    await expect(surveyTrace(broken)).rejects.toThrow(TraceError);
  });

  test('has the same name however it is packed', async () => {
    const plain = await surveyTrace(fileTrace(await traceFile(lines.join('\n'))));
    const zipped = await surveyTrace(fileTrace(await traceFile(gzipSync(lines.join('\r\n')))));
    const shorter = await surveyTrace(fileTrace(await traceFile(lines.slice(1).join('\n'))));
    expect(zipped.sha256).toBe(plain.sha256);
    expect(shorter.sha256).not.toBe(plain.sha256);
  });

  test('is played in order, never early, and faster by its speed', async () => {
    const source = fileTrace(await traceFile(lines.join('\n')));
    const seen: TraceEvent['type'][] = [];
    const startMs = nowMs();
    const take = (event: TraceEvent, dueMs: number): void => {
      seen.push(event.type);
      expect(dueMs).toBe(startMs + event.t / 2);
      expect(nowMs()).toBeGreaterThanOrEqual(dueMs - 2);
    };
    await play({ source, speed: 2, startMs, take, signal: new AbortController().signal });
    expect(seen).toEqual(['location', 'job', 'location']);
  });

  test('stops when it is told to', async () => {
    const late = { ...parseEvent(lines[0] ?? '', 1), t: 3_600_000 };
    const controller = new AbortController();
    const source = { name: 'late', events: () => [late] };
    setTimeout(() => controller.abort(), 10);
    const take = (): void => expect.unreachable();
    await play({ source, speed: 1, startMs: nowMs(), take, signal: controller.signal });
    expect(controller.signal.aborted).toBe(true);
  });
});
