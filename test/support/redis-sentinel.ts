/** A primary, its replica, and three Sentinels that watch them. */
import { ask, type Server, startServer } from './redis-servers.ts';
import { until } from './until.ts';

export interface WatchedRedis {
  /** Where the Sentinels are, and what they call the primary; without a database. */
  url: string;
  primary: Server;
  stop(): Promise<void>;
}

export async function startSentinels(): Promise<WatchedRedis> {
  const primary = await startServer();
  const replica = await startServer([`replicaof 127.0.0.1 ${primary.port}`]);
  const sentinels: Server[] = [];
  for (let i = 0; i < 3; i++) {
    const watch = [
      `sentinel monitor main 127.0.0.1 ${primary.port} 2`,
      'sentinel down-after-milliseconds main 1000',
      'sentinel failover-timeout main 3000',
    ];
    sentinels.push(await startServer(watch, { sentinel: true }));
  }
  await until(async () =>
    String(await ask(primary, 'INFO', 'replication')).includes('connected_slaves:1'),
  );
  for (const sentinel of sentinels) {
    await until(async () =>
      String(await ask(sentinel, 'INFO', 'sentinel')).includes('slaves=1,sentinels=3'),
    );
  }
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return {
    url: `redis-sentinel://${hosts}/main`,
    primary,
    async stop() {
      await Promise.all([...sentinels, replica, primary].map((server) => server.kill()));
    },
  };
}
