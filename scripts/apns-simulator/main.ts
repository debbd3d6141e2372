/**
 * The simulator as a process: `node scripts/apns-simulator/main.ts --dir DIR [--port 0]`. Prints one
 * JSON line with its address and the key it accepts, and runs until it is told to stop.
 */
import { parseArgs } from 'node:util';
import { startSimulator } from './simulator.ts';

const { values } = parseArgs({
  options: { dir: { type: 'string' }, port: { type: 'string', default: '0' } },
});
if (values.dir === undefined) {
  process.stderr.write('apns-simulator: --dir DIR is needed: where keys and the push log go\n');
  process.exit(1);
}
const simulator = await startSimulator({ dir: values.dir, port: Number(values.port) });
const stop = () => void simulator.close().then(() => process.exit(0));
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
if (process.send) process.once('disconnect', stop);
process.stdout.write(
  `${JSON.stringify({
    url: simulator.url,
    control_url: simulator.controlUrl,
    ca_file: simulator.caFile,
    key_file: simulator.keyFile,
    key_id: simulator.keyId,
    team_id: simulator.teamId,
    push_log: simulator.pushLog,
  })}\n`,
);
