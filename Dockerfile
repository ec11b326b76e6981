FROM node:24-slim AS packages
WORKDIR /gatehouse
COPY package.json package-lock.json .npmrc ./
# The image brings Node itself and its database comes from elsewhere, so the optional binaries stay out.
RUN npm ci --omit=optional
# The Prisma client is generated while the development packages are there, which then go.
COPY prisma/schema.prisma prisma/
COPY scripts/prisma-client.ts scripts/
COPY src/storage/prisma-client.ts src/storage/
RUN npm run build && npm prune --omit=dev --omit=optional

FROM node:24-slim
LABEL org.opencontainers.image.title="Gatehouse" \
      org.opencontainers.image.description="A self-hosted identity portal" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /gatehouse
COPY --from=packages /gatehouse/node_modules node_modules
COPY package.json LICENSE ./
COPY prisma prisma
COPY public public
COPY views views
COPY locales locales
COPY src src
COPY --from=packages /gatehouse/src/storage/client src/storage/client
# Any user will do: all files are root's and readable, also from a checkout that is closed to others, and the portal writes to none of them.
RUN find . \( -type f ! -perm -444 -o -type d ! -perm -555 \) -exec chmod a+rX {} + \
 && ln -s /gatehouse/src/gatehouse.ts /usr/local/bin/gatehouse
USER 10001:10001
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT ?? 3000}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "src/gatehouse.ts"]
CMD ["serve"]
