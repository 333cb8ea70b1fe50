// fast-gateway; the admin's path behind a middleware that verifies the token with fast-jwt (and its cache).
const { createVerifier } = require("fast-jwt");
const verify = createVerifier({ key: process.env.BENCH_SECRET, algorithms: ["HS256"], cache: true });
const target = process.env.BENCH_UPSTREAM;

function admin(req, res, next) {
  let claims;
  try {
    claims = verify((req.headers.authorization || "").slice(7));
  } catch {
    res.statusCode = 401;
    return res.end();
  }
  if (claims.user_type !== "admin") {
    res.statusCode = 403;
    return res.end();
  }
  delete req.headers.authorization;
  req.headers["request-user-id"] = String(claims.id);
  req.headers["request-user-role"] = claims.user_type;
  return next();
}

require("fast-gateway")({
  routes: [
    // Without pathRegex the route would be /api/admin/*, which is not this path: the one below would let anybody in.
    { prefix: "/api/admin", pathRegex: "", prefixRewrite: "/api/admin", target, middlewares: [admin] },
    { prefix: "/api", prefixRewrite: "/api", target },
  ],
}).start(Number(process.env.BENCH_PORT), "127.0.0.1");
