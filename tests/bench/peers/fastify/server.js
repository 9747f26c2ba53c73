// The same promise with Fastify and BullMQ: a delivery is verified, parsed and in Redis before it is answered with 202.
import cluster from 'node:cluster';
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Queue } from 'bullmq';
import Fastify from 'fastify';
import { Redis } from 'ioredis';

const { PORT, PROCESSES, REDIS_SOCKET, SECRET } = process.env;

if (cluster.isPrimary) {
  for (let number = 0; number < Number(PROCESSES); number += 1) cluster.fork();
} else {
  const connection = new Redis({ path: REDIS_SOCKET, maxRetriesPerRequest: null });
  const queue = new Queue('changes', { connection });
  const app = Fastify({ bodyLimit: 8 * 1024 * 1024 });

  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body));

  app.post('/webhooks/netbox', async (request, reply) => {
    const given = Buffer.from(request.headers['x-hook-signature'] ?? '', 'hex');
    const wanted = createHmac('sha512', SECRET).update(request.body).digest();
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
      return reply.code(401).send({ error: 'wrong signature' });
    }
    const { event, object_type: type, data, request: from } = JSON.parse(request.body);
    const jobId = createHash('sha256').update(`${type} ${data.id} ${event} ${from.id}`).digest('hex');
    const change = { type, id: data.id, event, fabric: data.fabric, user: from.user };
    const job = await queue.add('change', change, { jobId });
    return reply.code(202).send({ job_id: job.id });
  });

  app.get('/readyz', async () => ({ redis: await connection.ping() }));
  await app.listen({ host: '127.0.0.1', port: Number(PORT) });
}
