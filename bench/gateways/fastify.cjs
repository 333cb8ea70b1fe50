// @fastify/http-proxy; the admin's path behind @fastify/jwt (with its cache of verified tokens) and a check of the claim.
const fastify = require("fastify")({ logger: false, bodyLimit: 128 * 1024 * 1024 });
const upstream = process.env.BENCH_UPSTREAM;
const proxy = require("@fastify/http-proxy");

fastify.register(require("@fastify/jwt"), { secret: process.env.BENCH_SECRET, verify: { cache: true } });
fastify.register(proxy, {
  upstream,
  prefix: "/api/admin",
  rewritePrefix: "/api/admin",
  preHandler: async (request, reply) => {
    await request.jwtVerify();
    if (request.user.user_type !== "admin") return reply.code(403).send();
  },
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => {
      const { authorization, ...rest } = headers;
      return { ...rest, "request-user-id": String(request.user.id), "request-user-role": request.user.user_type };
    },
  },
});
fastify.register(proxy, { upstream, prefix: "/api", rewritePrefix: "/api" });
fastify.listen({ port: Number(process.env.BENCH_PORT), host: "127.0.0.1" });
