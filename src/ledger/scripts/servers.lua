-- Servers ----------------------------------------------------------------------------------------------------------

-- What a run needs is a list of servers: its repository and the host of that, and the NetBoxes of its fabrics. Who would
-- be one too many, or needs one that is left alone, is parked: not due, and in line for its place.

local servers = {}
local function settings_of(server)
  if not servers[server] then
    local text = redis.call('HGET', P .. 'servers', server)
    servers[server] = text and cjson.decode(text) or {}
  end
  return servers[server]
end

local function needs_of_target(target)
  local repository = 'repository:' .. string.match(target, '^([^@]*)')
  return { repository, settings_of(repository).host }
end

local function needs_of_fabric(fabric)
  local netbox = redis.call('HGET', P .. 'fabric:' .. fabric, 'netbox')
  return { netbox and 'netbox:' .. netbox or nil }
end

-- Runs at work on a server. One whose lease has ended, or that was given to somebody else, is none.
local function at_work(server)
  local count, key = 0, P .. 'at_work:' .. server
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local t = redis.call('HMGET', P .. 'target:' .. all[i], 'fence', 'lease_until')
    if t[1] == all[i + 1] and t[2] and tonumber(t[2]) > now then
      count = count + 1
    else
      redis.call('HDEL', key, all[i])
    end
  end
  return count
end

local function begin_on(target, fence, needed)
  local all = {}
  for server in pairs(needed) do
    all[#all + 1] = server
    redis.call('HSET', P .. 'at_work:' .. server, target, fence)
  end
  if #all > 0 then redis.call('HSET', P .. 'target:' .. target, 'servers', cjson.encode(all)) end
end

-- Until when a server is left alone, or nothing.
local function broken_until(server) return tonumber(redis.call('ZSCORE', P .. 'broken', server) or nil) end

-- How many more runs a server takes: none while it is left alone, and one to try it afterwards.
local function places(server)
  local broken = broken_until(server)
  if broken then return now < broken and 0 or 1 - at_work(server) end
  local limit = settings_of(server).max_runs or 0
  return limit == 0 and math.huge or limit - at_work(server)
end

-- The first of these servers that takes no more. Each is counted once: thousands of fabrics may need the same.
local counted = {}
local function without_place(needs)
  for _, server in pairs(needs) do
    counted[server] = counted[server] or places(server)
    if counted[server] <= 0 then return server end
  end
end

local function park(target, server)
  redis.call('ZADD', P .. 'parked:' .. server, redis.call('ZSCORE', P .. 'due', target), target)
  redis.call('SADD', P .. 'parked', server)
  redis.call('ZREM', P .. 'due', target)
end

-- Lets as many be due again as have a place, or all: the most overdue first, a bounded number at a time. Who is due already
-- stays as it is: it may be at work.
local function unpark(all)
  for _, server in ipairs(redis.call('SMEMBERS', P .. 'parked')) do
    local count = all and 0 or math.min(places(server), 1000)
    if all or count > 0 then
      local key = P .. 'parked:' .. server
      local line = redis.call('ZRANGE', key, 0, count - 1, 'WITHSCORES')
      for i = 1, #line, 2 do
        redis.call('ZADD', P .. 'due', 'NX', line[i + 1], line[i])
        redis.call('ZREM', key, line[i])
      end
      if redis.call('EXISTS', key) == 0 then redis.call('SREM', P .. 'parked', server) end
    end
  end
end

-- Tells the jobs of a fabric that they wait for a server that is left alone; each is told once. True when there are more.
local MOST_TOLD = 1000
local function tell_waiting(fabric, server)
  if not broken_until(server) then return false end
  local key = P .. 'fabric:' .. fabric
  local problem = redis.call('HGET', P .. 'circuit:' .. server, 'problem')
  local f = redis.call('HMGET', key, 'waits_for', 'waits_to')
  local from = f[1] == server and '(' .. f[2] or '-inf'
  local jobs = redis.call('ZRANGEBYSCORE', P .. 'pending_jobs:' .. fabric, from, '+inf', 'WITHSCORES', 'LIMIT', 0, MOST_TOLD)
  for i = 1, #jobs, 2 do
    set_part(jobs[i], fabric, { state = 'waiting', waits_for = server, error = problem, next = false })
  end
  if #jobs > 0 then
    redis.call('HSET', key, 'waits_for', server, 'waits_to', jobs[#jobs], 'error', problem)
  end
  return #jobs == 2 * MOST_TOLD
end
