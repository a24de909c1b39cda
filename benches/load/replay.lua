-- Replays a file of requests: each of wrk's threads walks through it in order, thread k of 2 from the
-- k-th half on. A line is METHOD<TAB>path<TAB>If-None-Match<TAB>body.
local threads = 0

function setup(thread)
  thread:set("index", threads)
  threads = threads + 1
end

function init(args)
  requests, n = {}, 0
  for line in io.lines(args[1]) do
    local method, path, tag, body = line:match("^(%S+)\t(%S+)\t(%S*)\t(.*)$")
    local headers = {}
    if tag ~= "" then headers["If-None-Match"] = tag end
    if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
    n = n + 1
    requests[n] = wrk.format(method, path, headers, body)
  end
  at = math.floor(n * (index % 2) / 2)
end

function request()
  at = at % n + 1
  return requests[at]
end
