/**
 * What was pushed, and what each phone shows: a push with a collapse id replaces the one before it with
 * the same id, as on an iPhone; of pushes that come while it is offline it gets the last one of each
 * app. The newest are kept in memory, all of them in the log file.
 */
import { appendFileSync, renameSync, statSync } from 'node:fs';
import { forgetOldest } from './forget.ts';

export interface PushRecord {
  at: string;
  token: string;
  status: number;
  reason?: string;
  topic: string;
  apns_id: string;
  collapse_id: string;
  priority: string;
  expiration: string;
  payload: unknown;
}

/** Kept in memory for the control API. */
const RECORDS_MAX = 50_000;
const PHONES_MAX = 100_000;
const SHOWN_MAX = 100;
const LOG_MAX_BYTES = 100 * 1024 * 1024;
/** How long lines wait to be written together. */
const WRITE_MS = 50;

export interface Phones {
  add(record: PushRecord): void;
  records(jobId?: string): PushRecord[];
  /** What a phone shows, oldest first. */
  shown(token: string): unknown[];
  /** Takes a phone offline or back; then it gets what Apple has stored and is not too old. */
  setOffline(token: string, offline: boolean): void;
  stats(): { pushes: number; by_status: Record<string, number> };
  /** Counts by status and reason. */
  answers(): ReadonlyMap<string, number>;
  close(): void;
}

export function createPhones(logFile: string): Phones {
  const records: PushRecord[] = [];
  const screens = new Map<string, Map<string, unknown>>();
  /** The last push by topic for each offline phone. */
  const stored = new Map<string, Map<string, PushRecord>>();
  const answers = new Map<string, number>();
  const log = openLog(logFile);
  let pushes = 0;

  function deliver(record: PushRecord): void {
    const store = stored.get(record.token);
    if (!store) show(record);
    else if (record.expiration !== '0') store.set(record.topic, record);
  }

  function show({ token, collapse_id, apns_id, payload }: PushRecord): void {
    const screen = screens.get(token) ?? new Map<string, unknown>();
    screens.set(token, screen);
    const id = collapse_id || apns_id;
    screen.delete(id);
    screen.set(id, payload);
    forgetOldest(screen, SHOWN_MAX);
    forgetOldest(screens, PHONES_MAX);
  }

  return {
    add(record) {
      pushes++;
      const answer = `${record.status} ${record.reason ?? ''}`;
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
      records.push(record);
      if (records.length > RECORDS_MAX) records.splice(0, RECORDS_MAX / 10);
      if (record.status === 200) deliver(record);
      log.add(JSON.stringify(record));
    },
    records: (jobId) =>
      jobId === undefined
        ? records
        : records.filter(({ payload }) => (payload as { job_id?: unknown })?.job_id === jobId),
    shown: (token) => [...(screens.get(token)?.values() ?? [])],
    setOffline(token, offline) {
      if (offline) {
        if (!stored.has(token)) stored.set(token, new Map());
        return forgetOldest(stored, PHONES_MAX);
      }
      const waiting = [...(stored.get(token)?.values() ?? [])];
      stored.delete(token);
      for (const record of waiting) if (!isExpired(record)) show(record);
    },
    stats() {
      const byStatus: Record<string, number> = {};
      for (const [answer, count] of answers) {
        const [status = ''] = answer.split(' ');
        byStatus[status] = (byStatus[status] ?? 0) + count;
      }
      return { pushes, by_status: byStatus };
    },
    answers: () => answers,
    close: log.write,
  };
}

/** Without an expiration Apple keeps it for a long time. */
const isExpired = ({ expiration }: PushRecord) =>
  expiration !== '' && Number(expiration) * 1000 <= Date.now();

/** Lines are written together, a moment later or by `write`. */
function openLog(file: string): { add(line: string): void; write(): void } {
  let unwritten: string[] = [];
  let timer: NodeJS.Timeout | null = null;

  function write(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    if (unwritten.length === 0) return;
    // Readable by its user only: it has device tokens and texts.
    appendFileSync(file, `${unwritten.join('\n')}\n`, { mode: 0o600 });
    unwritten = [];
    if (statSync(file).size > LOG_MAX_BYTES) renameSync(file, `${file}.1`);
  }

  return {
    add(line) {
      unwritten.push(line);
      timer ??= setTimeout(write, WRITE_MS);
    },
    write,
  };
}
