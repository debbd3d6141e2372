/**
 * `npm run record`: writes a trace of what a deployment went through, from its `DATABASE_URL`.
 * Nothing in the file leads back to a person. Exit code 2 when it could not be made.
 */
import type postgres from 'postgres';
import { connectOnce } from '../../engine/pg/one-off.ts';
import { checkoutStateDir } from '../../engine/process/dev-secret.ts';
import { findRunning } from '../dev/lock.ts';
import { numberFlag, readFlags, UsageError } from '../replay/flags.ts';
import { checkOutputs } from '../replay/output-files.ts';
import { toldOf } from '../replay/told.ts';
import { writeTrace } from '../replay/trace-file.ts';
import { countSamples, recordEvents, type Window } from './recording.ts';

const HELP = `npm run record -- --out FILE [--minutes N | --since T --until T]

Writes a trace of the jobs and sampled positions in DATABASE_URL (default: npm start of this
checkout). Ids are numbered, times count from 0, positions have four decimals, texts are left out.

  --out FILE     JSON Lines; gzipped when the name ends in .gz
  --minutes N    the last N minutes (default 60)
  --since T      from this moment, as 2026-01-31T18:00:00Z
  --until T      to this moment (default now)`;

const DAY = /^\d{4}-\d{2}-\d{2}/;
const MOMENT = /^[\d-]{10}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/i;
const MINUTE_MS = 60_000;
/** How long samples are kept. */
const KEPT_MINUTES = 7 * 24 * 60;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  try {
    return await record(argv);
  } catch (error) {
    process.stderr.write(`${toldOf('record', error)}\n`);
    return 2;
  }
}

async function record(argv: readonly string[]): Promise<number> {
  const { help, values } = readFlags(argv, { values: ['out', 'minutes', 'since', 'until'] });
  if (help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const out = values.get('out');
  if (out === undefined) throw new UsageError('--out FILE is missing (see --help)');
  const window = readWindow(values);
  await checkOutputs(new Map([['out', out]]));
  const sql = open();
  try {
    const { samples, jobs, locations, drivers } = await patiently(sql, async (tx) => {
      const samples = await countSamples(tx, window);
      const written = await writeTrace(out, recordEvents(tx, window, samples !== null));
      return { samples, ...written };
    });
    if (samples === null) warn('the database samples no positions (no table driver_positions)');
    else if (samples === 0) warn('no positions were sampled in that time (POSITION_HISTORY_S)');
    process.stdout.write(`${out}: ${jobs} jobs and ${locations} fixes of ${drivers} drivers\n`);
    return 0;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/**
 * Reads in one transaction without time limits. Those of a role are made for the short statements of a process,
 * and a pooler lends no session whose own could be set.
 */
async function patiently<T>(
  sql: postgres.Sql,
  read: (tx: postgres.TransactionSql) => Promise<T>,
): Promise<T> {
  try {
    const done = await sql.begin('read only', async (tx) => {
      // PostgreSQL 17 has a limit more than those before.
      await tx`select set_config(name, '0', true) from pg_settings where name in
        ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')`;
      return { read: await read(tx) };
    });
    return done.read as T;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === undefined ? error : new UsageError(`cannot read DATABASE_URL: ${message}`);
  }
}

function readWindow(values: ReadonlyMap<string, string>): Window {
  const [since, until] = [values.get('since'), values.get('until')];
  if (values.has('minutes') && (since ?? until) !== undefined) {
    throw new UsageError('--minutes goes without --since and --until');
  }
  if (since === undefined && until !== undefined) throw new UsageError('--until needs --since');
  const to = until === undefined ? new Date() : readTime('until', until);
  const minutes = numberFlag(values, 'minutes', 60, { min: 0.01, max: KEPT_MINUTES, whole: false });
  const from =
    since === undefined ? new Date(to.getTime() - minutes * MINUTE_MS) : readTime('since', since);
  if (from < to) return { since: from, until: to };
  throw new UsageError('--since must lie before --until');
}

/**
 * A day, or a moment with its zone: without one it would be this machine's local time. `Date` takes 30 February
 * for 2 March.
 */
function readTime(flag: string, text: string): Date {
  const [day = ''] = DAY.exec(text) ?? [];
  const [time, midnight] = [new Date(text), new Date(day)];
  const isTime = MOMENT.test(text) && !Number.isNaN(time.getTime());
  if (isTime && midnight.toISOString().startsWith(day)) return time;
  throw new UsageError(`--${flag} must be a time like 2026-01-31T18:00:00Z, not '${text}'`);
}

function open(): postgres.Sql {
  const url = process.env.DATABASE_URL || findRunning(checkoutStateDir)?.databaseUrl;
  if (url === undefined) {
    throw new UsageError('no database: set DATABASE_URL, or run npm start here');
  }
  try {
    return connectOnce(url);
  } catch (error) {
    throw new UsageError(`DATABASE_URL cannot be used: ${(error as Error).message}`);
  }
}

function warn(line: string): void {
  process.stderr.write(`record: ${line}: drivers are only where they were seen last\n`);
}
