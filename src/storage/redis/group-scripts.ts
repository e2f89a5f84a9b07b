// What keeps a consumer group in order, run inside Redis so that a worker that reads at this very moment loses nothing.

/** KEYS: stream. ARGV: group, idle ms, a name. Forgets consumers that hold nothing: the named one, and those idle for long. */
export const FORGET_SCRIPT = `
local gone = 0
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for index = 1, #row, 2 do consumer[row[index]] = row[index + 1] end
  local left = consumer['name'] == ARGV[3] or consumer['idle'] > tonumber(ARGV[2])
  if consumer['pending'] == 0 and left then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    gone = gone + 1
  end
end
return gone`;

/**
 * KEYS: stream. ARGV: group, idle ms. An old entry that nobody holds and that the group is already past would never be read:
 * an operator deleted a consumer, or moved the group. Moving the group back gives everything out again, which is safe.
 */
export const RESCUE_SCRIPT = `
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first then return 0 end
local ms, count = string.match(first[1], '^(%d+)-(%d+)$')
ms, count = tonumber(ms), tonumber(count)
if redis.call('TIME')[1] * 1000 - ms < tonumber(ARGV[2]) then return 0 end
if #redis.call('XPENDING', KEYS[1], ARGV[1], first[1], first[1], 1) > 0 then return 0 end
for _, row in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for index = 1, #row, 2 do group[row[index]] = row[index + 1] end
  if group['name'] == ARGV[1] then
    local pastMs, pastCount = string.match(group['last-delivered-id'], '^(%d+)-(%d+)$')
    pastMs, pastCount = tonumber(pastMs), tonumber(pastCount)
    if ms < pastMs or (ms == pastMs and count <= pastCount) then
      redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], '0')
      return 1
    end
  end
end
return 0`;
