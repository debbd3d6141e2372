/**
 * The times of a run as an HdrHistogram log: one histogram for each time and second, in
 * microseconds, tagged with the time's name. Logs of several runs or machines can be merged by any
 * HdrHistogram tool; percentiles of the sum are then true, which averages never are.
 */
import { build, HistogramLogWriter } from 'hdr-histogram-js';
import { type Samples, TIME_NAMES, type TimeName } from './times.ts';

/** An hour in microseconds; slower values are recorded as an hour. */
const HIGHEST_US = 3_600_000_000;
const SECOND_MS = 1000;
/** The same range in each, so that any two can be added. */
const HISTOGRAM = {
  bitBucketSize: 32,
  autoResize: false,
  lowestDiscernibleValue: 1,
  highestTrackableValue: HIGHEST_US,
  numberOfSignificantValueDigits: 3,
  useWebAssembly: false,
} as const;

export function renderHdrLog(samples: Samples, startMs: number, startedAt: string): string {
  const startEpochMs = Date.parse(startedAt);
  let text = '';
  const writer = new HistogramLogWriter((part) => {
    text += part;
  });
  writer.outputLogFormatVersion();
  writer.outputComment('[Muster replay: microseconds, one histogram for each time and second]');
  writer.outputStartTime(startEpochMs);
  writer.outputLegend();
  // One histogram for all: each is written out before the next begins.
  const histogram = build(HISTOGRAM);
  for (const [second, named] of bySecond(samples, startMs)) {
    for (const [name, values] of named) {
      histogram.reset();
      for (const ms of values) histogram.recordValue(Math.min(HIGHEST_US, Math.round(ms * 1000)));
      histogram.tag = name;
      histogram.startTimeStampMsec = startEpochMs + second * SECOND_MS;
      histogram.endTimeStampMsec = histogram.startTimeStampMsec + SECOND_MS;
      writer.outputIntervalHistogram(histogram);
    }
  }
  return text;
}

function bySecond(samples: Samples, startMs: number): [number, Map<TimeName, number[]>][] {
  const seconds = new Map<number, Map<TimeName, number[]>>();
  for (const name of TIME_NAMES) {
    for (const { dueMs, ms } of samples[name]) {
      const second = Math.max(0, Math.floor((dueMs - startMs) / SECOND_MS));
      const named = seconds.get(second) ?? new Map<TimeName, number[]>();
      seconds.set(second, named);
      const values = named.get(name) ?? [];
      named.set(name, values);
      values.push(ms);
    }
  }
  return [...seconds].sort(([a], [b]) => a - b);
}
