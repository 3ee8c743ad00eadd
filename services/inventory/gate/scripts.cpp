#include "inventory/gate/scripts.h"

namespace flotilla::inventory {

const redis::Script& TakeScript() {
  static const auto* script = new redis::Script(R"(
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
local stock = redis.call('GET', KEYS[1])
if not stock then return -2 end
if tonumber(stock) < tonumber(ARGV[1]) then
  if redis.call('EXISTS', KEYS[3]) == 1 then return -5 end
  if tonumber(stock) <= 0 then return -3 end
  return -1
end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return 1)");
  return *script;
}

const redis::Script& TakeLimitedScript() {
  static const auto* script = new redis::Script(R"(
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
local stock = redis.call('GET', KEYS[1])
if not stock then return -2 end
local refusal = nil
if tonumber(stock) < tonumber(ARGV[1]) then
  refusal = tonumber(stock) <= 0 and -3 or -1
elseif tonumber(redis.call('HGET', KEYS[4], ARGV[3]) or '0') + tonumber(ARGV[6]) > tonumber(ARGV[4]) then
  refusal = -4
end
if refusal then
  if redis.call('EXISTS', KEYS[3]) == 1 then return -5 end
  return refusal
end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[1] .. '/' .. ARGV[6] .. ':' .. ARGV[3], 'EX', ARGV[2])
redis.call('HINCRBY', KEYS[4], ARGV[3], ARGV[6])
if redis.call('TTL', KEYS[4]) < 0 then redis.call('EXPIRE', KEYS[4], ARGV[5]) end
return 1)");
  return *script;
}

const redis::Script& TakePartScript() {
  static const auto* script = new redis::Script(R"(
local mark = redis.call('GET', KEYS[2])
if mark then return math.min(tonumber(string.match(mark, '^%d+')), tonumber(ARGV[1])) end
local stock = redis.call('GET', KEYS[1])
if not stock then return -2 end
local units = math.min(tonumber(stock), tonumber(ARGV[1]))
if units <= 0 then return 0 end
redis.call('DECRBY', KEYS[1], units)
redis.call('SET', KEYS[2], units, 'EX', ARGV[2])
return units)");
  return *script;
}

const redis::Script& GiveScript() {
  static const auto* script = new redis::Script(R"(
local mark = redis.call('GET', KEYS[2])
if not mark then
  if ARGV[1] ~= '' then redis.call('HDEL', KEYS[3], ARGV[1]) end
  return 0
end
if ARGV[2] ~= 'keep' then redis.call('DEL', KEYS[2]) end
local units, counted, user = string.match(mark, '^(%d+)/?(%d*):?(.*)$')
if counted == '' then counted = units end
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('INCRBY', KEYS[1], units) end
if user ~= '' then
  if tonumber(redis.call('HGET', KEYS[3], user) or '0') > tonumber(counted) then
    redis.call('HINCRBY', KEYS[3], user, '-' .. counted)
  else
    redis.call('HDEL', KEYS[3], user)
  end
end
return 1)");
  return *script;
}

const redis::Script& LoadScript() {
  static const auto* script = new redis::Script(R"(
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then return 0 end
if ARGV[2] ~= '0' then redis.call('SET', KEYS[2], '1', 'EX', ARGV[2]) end
return 1)");
  return *script;
}

const redis::Script& LowerScript() {
  static const auto* script = new redis::Script(R"(
local stock = redis.call('GET', KEYS[1])
if stock and tonumber(stock) > tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) return 1 end
return 0)");
  return *script;
}

const redis::Script& AddScript() {
  static const auto* script = new redis::Script(R"(
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('INCRBY', KEYS[1], ARGV[1]) end
return 0)");
  return *script;
}

const redis::Script& CorrectScript() {
  static const auto* script = new redis::Script(R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end
return 0)");
  return *script;
}

const redis::Script& LearnScript() {
  static const auto* script = new redis::Script(R"(
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return 1)");
  return *script;
}

}  // namespace flotilla::inventory
