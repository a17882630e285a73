# The SPOA. docker build -t appsec-edge . && docker run -p 3000:3000 -p 3080:3080 --read-only appsec-edge
#
# The tag is exact; for a build that can be repeated to the byte, add the digest that `docker buildx imagetools
# inspect` shows for it. Debian with glibc, for which libddwaf comes ready built on x64 and arm64.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install script is needed to compile; the one there is would fetch a second Node.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && rm -f dist/.tsbuildinfo

FROM ${NODE_IMAGE} AS dependencies
# The bill of materials takes its name from the folder.
WORKDIR /appsec-edge
COPY package.json package-lock.json ./
# dd-trace's optional packages (profiler, code rewriting, runtime metrics) are not used here: 109 MB become 44.
# libddwaf comes for seven platforms: one is kept, and it is loaded to see that it is the right one.
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
 && find node_modules/@datadog/native-appsec/prebuilds -mindepth 1 -maxdepth 1 \
      ! -name "linuxglibc-$(node -p process.arch)" -exec rm -r {} + \
 && node -p "'libddwaf ' + require('@datadog/native-appsec').DDWAF.version()"
# Of what is really there: npm takes packages that are left out on purpose for missing ones, unless nobody asks for them.
RUN npm pkg delete devDependencies \
 && npm sbom --sbom-format cyclonedx --sbom-type application > sbom.json

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="appsec-edge" \
      org.opencontainers.image.description="A web application firewall for HAProxy, as an SPOE agent" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE CHANGELOG.md ./
COPY haproxyconf ./haproxyconf
COPY envoyconf ./envoyconf
COPY lua ./lua
COPY --from=dependencies /appsec-edge/node_modules ./node_modules
COPY --from=dependencies /appsec-edge/sbom.json ./sbom.json
COPY --from=build /app/dist ./dist
# The image's own user `node`, as a number: Kubernetes' runAsNonRoot can only check numbers. Nothing is written.
USER 1000:1000
# SPOP; health and metrics.
EXPOSE 3000 3080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["node", "dist/main.js", "healthcheck"]
# Node is process 1 and gets the signals itself; further words are a command and its flags.
ENTRYPOINT ["node", "dist/main.js"]
