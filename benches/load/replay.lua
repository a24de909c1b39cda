-- Replays a file of requests: each of wrk's threads walks through it in order, thread k of 2 from the
-- k-th half on. A line is METHOD<TAB>path<TAB>If-None-Match<TAB>body.
--
-- wrk starts its first thread before it prepares the second, and its clock when all have started: so
-- that little happens in between, lines become requests only when it is their turn.
local threads = 0

function setup(thread)
  thread:set("index", threads)
  threads = threads + 1
end

function init(args)
  lines, requests = {}, {}
  for line in io.lines(args[1]) do
    lines[#lines + 1] = line
  end
  at = math.floor(#lines * (index % 2) / 2)
end

local function format(line)
  local method, path, tag, body = line:match("^(%S+)\t(%S+)\t(%S*)\t(.*)$")
  local headers = {}
  if tag ~= "" then headers["If-None-Match"] = tag end
  if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
  return wrk.format(method, path, headers, body)
end

function request()
  at = at % #lines + 1
  local made = requests[at] or format(lines[at])
  requests[at] = made
  return made
end
