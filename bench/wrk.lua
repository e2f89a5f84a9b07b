-- The load: GET over a prepared sequence of codes, or POST of a link that differs every time.
-- Arguments: how many connections wrk has; "redirects" or "prefetches", a file with one code a line and perhaps one with a
-- user agent a line; or "creates" and an API key.

local USER_AGENTS = {
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
}

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

local function linesOf(file)
  local lines = {}
  for line in io.lines(file) do
    lines[#lines + 1] = line
  end
  return lines
end

-- Codes and user agents take turns. One of four agents is the code's own, one of many any code's.
local function redirects(file, agentsFile, purpose)
  local agents = agentsFile == "" and USER_AGENTS or linesOf(agentsFile)
  local sequence, made, count, position = {}, {}, 0, 0
  for code in io.lines(file) do
    count = count + 1
    local agent = agents[count % #agents + 1]
    local key = agents == USER_AGENTS and code or code .. agent
    -- One string for each: a popular one stays in the CPU's cache, as in any client that repeats itself.
    made[key] = made[key] or wrk.format("GET", "/" .. code, {
      ["User-Agent"] = agent,
      ["Accept-Language"] = "en-GB,en;q=0.9",
      ["Sec-Purpose"] = purpose,
    })
    sequence[count] = made[key]
  end
  return function()
    position = position % count + 1
    return sequence[position]
  end
end

local function creates(key)
  -- The number has a fixed width, so that Content-Length never changes and the head is made once.
  local body = '{"url":"https://shop.example.com/campaign/landing-page?utm_source=bench&item=%012d"}'
  local head = wrk.format("POST", "/api/v1/links", {
    ["Authorization"] = "Bearer " .. key,
    ["Content-Type"] = "application/json",
  }, string.format(body, 0)):gsub("{.*$", "")
  local number = 0
  return function()
    number = number + 1
    return head .. string.format(body, number)
  end
end

function init(arguments)
  connections = tonumber(arguments[1])
  if arguments[2] == "creates" then
    request = creates(arguments[3])
  else
    request = redirects(arguments[3], arguments[4] or "", arguments[2] == "prefetches" and "prefetch" or nil)
  end
  clockAtStart = os.clock()
end

-- The mean as it was measured, in microseconds. wrk 4.1 adds samples for the requests that a slow answer held back
-- (stats_correct in its stats.c), and Little's law knows nothing of those: they are taken out again.
local function measuredMean(summary, latency, connections)
  local interval = math.floor(summary.duration / math.floor(summary.requests / connections))
  local counts, total, sum = {}, 0, 0
  for index = 1, #latency do
    local value, count = latency(index)
    counts[value] = tonumber(count)
    total = total + tonumber(count)
  end
  local corrected = total > summary.requests
  for value = latency.max, latency.min, -1 do
    local count = counts[value] or 0
    sum = sum + count * value
    local earlier = value - interval
    while corrected and count > 0 and value >= 2 * interval and earlier > interval do
      counts[earlier] = counts[earlier] - count
      total = total - count
      earlier = earlier - interval
    end
  end
  return sum / total
end

-- Seconds and milliseconds, as one line of JSON; wrk counts in microseconds.
function done(summary, latency)
  local allCpuSeconds = os.clock()
  local connections = threads[1]:get("connections")
  local cpuSeconds = allCpuSeconds - threads[1]:get("clockAtStart")
  local seconds = summary.duration / 1e6
  local errors = summary.errors
  print(string.format(
    'REPORT {"connections":%d,"requests":%d,"seconds":%.6f,"cpuSeconds":%.6f,"allCpuSeconds":%.6f,'
      .. '"latencyMs":{"mean":%.4f,"p50":%.4f,"p99":%.4f,"max":%.4f},'
      .. '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}',
    connections, summary.requests, seconds, cpuSeconds, allCpuSeconds,
    measuredMean(summary, latency, connections) / 1e3, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout
  ))
end
