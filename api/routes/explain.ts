/** For operators: why a driver got an offer, or none. */
import {
  CONSIDERED_MAX,
  type Explanation,
  explainJob,
  OTHERS_MAX,
} from '../../engine/jobs/explain.ts';
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
        `answered (at most ${CONSIDERED_MAX}); of the other drivers the ${OTHERS_MAX} nearest. ` +
        'Each with the first reason why the job is not in his feed, as he is known now. With ' +
        '`driver_id` only about him.',
      params: IdParams,
      query: ExplainQuery,
      answers: { 200: ExplainAnswer },
      errors: ['job_not_found', 'driver_not_found'],
    }),
    handler: async (request): Promise<Explanation> => {
      const { id } = request.params;
      const { driver_id } = request.query;
      const result = await explainJob(engine.ctx, id, driver_id);
      if (!result.ok) throw new ApiError(result.code);
      return result.explanation;
    },
  });
}
