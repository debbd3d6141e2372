/**
 * The times of a run as an HdrHistogram log: one histogram for each time and second, in
 * microseconds, tagged with the time's name. Logs of several runs or machines can be merged by any
 * HdrHistogram tool; percentiles of the sum are then true, which averages never are.
 */
import { build, type Histogram, HistogramLogWriter } from 'hdr-histogram-js';
import { type Samples, TIME_NAMES } from './times.ts';

/** An hour in microseconds; what is slower is recorded as an hour. */
const HIGHEST_US = 3_600_000_000;
const SECOND_MS = 1000;

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
  const seconds = new Map<number, Map<string, Histogram>>();
  for (const name of TIME_NAMES) {
    for (const { dueMs, ms } of samples[name]) {
      const second = Math.max(0, Math.floor((dueMs - startMs) / SECOND_MS));
      const named = seconds.get(second) ?? new Map<string, Histogram>();
      seconds.set(second, named);
      const histogram = named.get(name) ?? newHistogram();
      named.set(name, histogram);
      histogram.recordValue(Math.min(HIGHEST_US, Math.round(ms * 1000)));
    }
  }
  for (const second of [...seconds.keys()].sort((a, b) => a - b)) {
    for (const [name, histogram] of seconds.get(second) ?? []) {
      histogram.tag = name;
      histogram.startTimeStampMsec = startEpochMs + second * SECOND_MS;
      histogram.endTimeStampMsec = histogram.startTimeStampMsec + SECOND_MS;
      writer.outputIntervalHistogram(histogram);
    }
  }
  return text;
}

function newHistogram(): Histogram {
  return build({
    bitBucketSize: 64,
    autoResize: true,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 2,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });
}
