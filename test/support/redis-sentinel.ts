/** A primary, its replica, and three Sentinels that watch them. */
import { ask, type Server, startServer } from './redis-servers.ts';
import { until } from './until.ts';

export interface WatchedRedis {
  /** Where the Sentinels are, and what they call the primary; without a database. */
  url: string;
  sentinels: Server[];
  /** The primary that it began with, then its replica. */
  servers: [Server, Server];
  /** Who is the primary now, as the Sentinels say. */
  primary(): Promise<Server>;
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
  const servers: [Server, Server] = [primary, replica];
  return {
    url: `redis-sentinel://${hosts}/main`,
    sentinels,
    servers,
    async primary() {
      const at = await ask(sentinels[0] as Server, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main');
      const found = servers.find(({ port }) => String(port) === (at as string[])[1]);
      if (!found) throw new Error(`the Sentinels name ${at}`);
      return found;
    },
    async stop() {
      await Promise.all([...sentinels, ...servers].map((server) => server.kill()));
    },
  };
}
