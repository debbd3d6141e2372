/** A process whose log is read late, no longer, or not at all. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';

/** Some 12 MB: more than a pipe takes and more than may wait. */
const LINES = 40_000;

const moduleAt = (name: string) => new URL(`../../../engine/process/${name}`, import.meta.url).href;

const CODE = `
  import { createLog } from ${JSON.stringify(moduleAt('log.ts'))};
  import { runService } from ${JSON.stringify(moduleAt('service.ts'))};
  await runService('test', async (service) => {
    const log = createLog('test', 'info');
    process.on('message', (what) => {
      if (what === 'throw') throw new Error('a fault');
      for (let i = 0; i < ${LINES}; i++) log.info({ i, text: 'x'.repeat(200) }, 'line');
      process.send('written');
    });
    service.endWith({ log, delayMs: 0, phases: [] });
    process.send('ready');
  });`;

let child: ChildProcess;
afterEach(() => child.kill('SIGKILL'));

async function start() {
  child = spawn(process.execPath, ['--input-type=module', '--eval', CODE], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const stdout = child.stdout as NonNullable<typeof child.stdout>;
  const stderr = child.stderr as NonNullable<typeof child.stderr>;
  stderr.on('data', (said) => process.stderr.write(said));
  await once(child, 'message');
  return { exited: once(child, 'exit'), stdout, stderr };
}

async function write(): Promise<void> {
  child.send('write');
  await once(child, 'message');
}

describe('a log', () => {
  it('that nobody reads does not keep its process from ending', async () => {
    const { exited } = await start();
    await write();
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  it('whose reader is gone does not keep its process from ending', async () => {
    const { exited, stdout } = await start();
    stdout.destroy();
    await write();
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  it('whose reader is gone, as is that of stderr, does not keep a fault from ending its process', async () => {
    const { exited, stdout, stderr } = await start();
    stdout.destroy();
    stderr.destroy();
    child.send('throw');
    expect(await exited).toEqual([1, null]);
  });

  it('that is read late says how many lines were dropped', async () => {
    const { stdout } = await start();
    await write();
    let lines = 0;
    for await (const line of createInterface({ input: stdout })) {
      const said = JSON.parse(line);
      if (said.msg === 'line') lines++;
      else expect(said).toMatchObject({ level: 40, lines: LINES - lines });
      if (said.level === 40) break;
    }
    expect(lines).toBeLessThan(LINES);
  });
});
