# The image of every process: api (as it is), workers (node workers/main.ts), the migration
# (node scripts/migrate.ts). Bases are pinned by version: put the digest that your registry gives
# behind it (node:24.21.0-bookworm-slim@sha256:…) to pin them for good.
FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
# As PID 1 it passes signals on from the first moment, and reaps what nobody waits for.
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY api ./api
COPY engine ./engine
COPY lua ./lua
COPY scripts ./scripts
COPY workers ./workers
# The base's user node, as a number: so a cluster sees that it is not root. Nothing is written.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["node", "api/main.ts"]
