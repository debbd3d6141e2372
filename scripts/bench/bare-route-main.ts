/** A Fastify server that answers every claim with the JSON that its first argument has for the status. */
import Fastify from 'fastify';

const answers = JSON.parse(process.argv[2] ?? '{}') as Record<number, unknown>;
const app = Fastify();
for (const status of [200, 409]) {
  app.post(`/${status}/api/drivers/jobs/:id/accept`, (_request, reply) => {
    reply.code(status);
    return answers[status];
  });
}
process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }));
