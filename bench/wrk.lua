-- What wrk sends, from the environment, and what it found, as one line of JSON.
wrk.method = os.getenv("BENCH_METHOD")
local token = os.getenv("BENCH_TOKEN")
if token ~= "" then wrk.headers["authorization"] = "Bearer " .. token end
local file = os.getenv("BENCH_BODY_FILE")
if file ~= "" then
  wrk.body = io.open(file, "rb"):read("*a")
  wrk.headers["content-type"] = os.getenv("BENCH_MEDIA_TYPE")
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
