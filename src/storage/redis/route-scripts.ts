// What the copies of routes need done in one step, inside Redis, by its clock.

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/**
 * KEYS: for each code its copy and its lease. ARGV: lease ms. Answers the time, then for each code the copy as it was kept,
 * or "m" (look it up) or "b" (somebody does) and the version of the fence, 0 without one.
 */
export const RECALL_SCRIPT = `${NOW}
local answers = {now}
for index = 1, #KEYS, 2 do
  local kept = redis.call('GET', KEYS[index])
  if kept and string.sub(kept, 1, 1) ~= 'f' then
    answers[#answers + 1] = kept
  else
    local leased = redis.call('SET', KEYS[index + 1], '1', 'NX', 'PX', ARGV[1])
    answers[#answers + 1] = (leased and 'm' or 'b') .. (kept and string.match(kept, '^f(%d+)') or '0')
  end
end
return answers`;

/**
 * KEYS as above. ARGV, for each code: version, birth (0 for a fence), life in ms, and what to keep, which begins with a letter,
 * the version, a space and the birth. Answers 1 where it was kept. What was born too long ago is not: a command can wait in
 * a socket for as long as a server is frozen.
 */
export const KEEP_SCRIPT = `${NOW}
local answers = {}
for index = 1, #KEYS / 2 do
  local version, born = tonumber(ARGV[index * 4 - 3]), tonumber(ARGV[index * 4 - 2])
  local left = tonumber(ARGV[index * 4 - 1])
  if born > 0 then left = born + left - now end
  local kept = redis.call('GET', KEYS[index * 2 - 1])
  local keptVersion, keptBorn = string.match(kept or '', '^%a(%d+) (%d+)')
  keptVersion, keptBorn = tonumber(keptVersion or -1), tonumber(keptBorn or -1)
  local newer = version > keptVersion or (version == keptVersion and born > keptBorn)
  if newer and left > 0 then redis.call('SET', KEYS[index * 2 - 1], ARGV[index * 4], 'PX', left) end
  redis.call('DEL', KEYS[index * 2])
  answers[index] = newer and left > 0 and 1 or 0
end
return answers`;
