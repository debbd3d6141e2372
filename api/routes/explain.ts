/** For operators: why a driver got an offer, or none. */
import { CONSIDERED_MAX, type Explanation, OTHERS_MAX } from '../../engine/engine.ts';
import { ExplainAnswer } from '../answers.ts';
import { READERS } from '../auth.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { ApiError } from '../errors.ts';
import { ExplainQuery, IdParams } from '../schemas.ts';

export function explainRoute(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'GET',
    url: '/api/ops/jobs/:id/explain',
    config: { roles: READERS },
    schema: describeRoute({
      tag: 'operators',
      summary: 'Who was offered a job, and why the others were not',
      description:
        'The waves with their candidates; who was considered, with what reached him and what he ' +
        `answered (at most ${CONSIDERED_MAX}); of the other drivers ${OTHERS_MAX}, online ones ` +
        'first, then the nearest, and how many each reason kept out. Each with the first reason why ' +
        'the job was not offered to him, as it was when the latest wave opened, or is now.',
      params: IdParams,
      query: ExplainQuery,
      answers: { 200: ExplainAnswer },
      errors: ['job_not_found', 'driver_not_found'],
    }),
    handler: async (request): Promise<Explanation> => {
      const { id } = request.params;
      const { driver_id, at = 'wave' } = request.query;
      const result = await engine.jobs.explain(id, { driverId: driver_id, at });
      if (!result.ok) throw new ApiError(result.code);
      return result.explanation;
    },
  });
}
