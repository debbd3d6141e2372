/** An APNs simulator in a process of its own, for benchmarks. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Target } from './push-senders.ts';

export interface OwnSimulator extends Target {
  pid: number | undefined;
  controlUrl: string;
  caFile: string;
  keyFile: string;
}

/** Runs `work` beside a fresh simulator and stops it. */
export async function onOwnSimulator<T>(work: (simulator: OwnSimulator) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-bench-apns-'));
  const entry = path.join(import.meta.dirname, '../apns-simulator/main.ts');
  const child = fork(entry, ['--dir', dir], { silent: true });
  try {
    return await work(await firstWords(child));
  } finally {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(dir, { recursive: true, force: true });
  }
}

async function firstWords(child: ChildProcess): Promise<OwnSimulator> {
  if (!child.stdout) throw new Error('the simulator has no output');
  const lines = createInterface({ input: child.stdout });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  lines.once('line', resolve);
  child.once('exit', (code) => reject(new Error(`the simulator ended with ${code}`)));
  const said = JSON.parse(await promise);
  return {
    pid: child.pid,
    url: said.url,
    controlUrl: said.control_url,
    caFile: said.ca_file,
    keyFile: said.key_file,
    ca: readFileSync(said.ca_file, 'utf8'),
    key: readFileSync(said.key_file, 'utf8'),
    keyId: said.key_id,
    teamId: said.team_id,
  };
}
