/** A Fastify server that answers every claim with the JSON in its first argument. */
import Fastify from 'fastify';

const answer: unknown = JSON.parse(process.argv[2] ?? '{}');
const app = Fastify();
app.post('/api/drivers/jobs/:id/accept', () => answer);
process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }));
