-- One call to one shard: a batch, a checkpoint, an initialisation, or one entry published by itself.
--
-- KEYS: the hash of watermarks, the hash with the epoch, then each distinct stream of the call.
-- ARGV: the seven below, then the data of each entry, in the entries' order.
--
-- Everything that can be refused is refused before the first write, and the watermark is raised before
-- anything that may fail afterwards: an interrupted call leaves nothing, or all that counts.
local watermarks_key, meta_key = KEYS[1], KEYS[2]
local live_command = ARGV[1] -- PUBLISH or SPUBLISH
local live_channel = ARGV[2]
local spare_epoch = ARGV[3] -- what the epoch becomes where it has to change
local max_length = ARGV[4] -- of a stream, entries
local life = ARGV[5] -- of a stream after its last entry, seconds
local marks = cmsgpack.unpack(ARGV[6]) -- flat, 5 each: field, previous, upto, timestamp, epoch ('' = none)
local entries = cmsgpack.unpack(ARGV[7]) -- flat, 5 each: index of the stream, offset, event, ts, tp
local streams_from, data_from = 2, 7 -- where they begin, less one

local call, pcall = redis.call, redis.pcall
local MARK, ENTRY, COPY = 5, 5, 7 -- values per mark, entry, and live copy
local LIVE_VERSION = 1 -- of what is published: live_format.py
local LAST_ID = '18446744073709551615-18446744073709551615' -- after it a stream takes nothing more
local count = #entries / ENTRY

local epoch = call('HGET', meta_key, 'epoch')
local epoch_changed = false

local function now()
  local time = call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end

-- Only if it is still the one that was seen: of several that find the same rollback, one changes it.
local function change_epoch(seen)
  if epoch and epoch ~= seen then
    return
  end
  epoch, epoch_changed = spare_epoch, true
  call('HSET', meta_key, 'epoch', epoch, 'since', now())
end

-- An unknown timestamp goes first: without one nothing is proved, with an old one something wrong would be.
local function forget_timestamp(field, timestamp)
  if timestamp == '' then
    call('HDEL', watermarks_key, field .. '/ts')
  end
end

local function raise_watermark(field, upto, timestamp)
  if timestamp == '' then
    call('HSET', watermarks_key, field, upto)
  else
    call('HSET', watermarks_key, field, upto, field .. '/ts', timestamp)
  end
end

-- First pass, nothing written: the last id of each distinct stream, which becomes its next entry's `prev`.
-- Answers prev by stream, then the indexes of entries whose key takes none, then an error to hand on.
local function last_ids(watermark)
  local prev, bad, unusable = {}, {}, {}
  for index = 1, count do
    local at = (index - 1) * ENTRY
    local stream = entries[at + 1]
    if entries[at + 2] > watermark then
      if not prev[stream] then
        local last = pcall('XREVRANGE', KEYS[streams_from + stream], '+', '-', 'COUNT', 1)
        if last.err then
          if not string.find(last.err, 'WRONGTYPE', 1, true) then
            return nil, nil, last
          end
          prev[stream], unusable[stream] = '0-0', true
        else
          prev[stream] = last[1] and last[1][1] or '0-0'
          unusable[stream] = prev[stream] == LAST_ID
        end
      end
      if unusable[stream] then
        bad[#bad + 1] = index - 1
      end
    end
  end
  return prev, bad
end

-- Second pass. Answers how many were appended, the live copies and, for one entry by itself, its id.
local function append(watermark, prev)
  local copies, used, appended, id = { LIVE_VERSION, epoch }, 2, 0, nil
  local prefix = #watermarks_key - 1 -- 'eb:{n}:wm' and 'eb:{n}:user:…' begin alike
  local target = {}
  for index = 1, count do
    local at = (index - 1) * ENTRY
    if entries[at + 2] > watermark then
      local stream, event, ts, tp = entries[at + 1], entries[at + 3], entries[at + 4], entries[at + 5]
      local data, before = ARGV[data_from + index], prev[stream]
      local key = KEYS[streams_from + stream]
      if ts == '' then
        ts = now()
      end
      -- The first entry of each stream trims it: once per stream and call is enough for "about".
      if not target[stream] then
        target[stream] = string.sub(key, prefix)
        if tp == '' then
          id = call('XADD', key, 'MAXLEN', '~', max_length, '*',
            'event', event, 'data', data, 'prev', before, 'ts', ts)
        else
          id = call('XADD', key, 'MAXLEN', '~', max_length, '*',
            'event', event, 'data', data, 'prev', before, 'ts', ts, 'tp', tp)
        end
      elseif tp == '' then
        id = call('XADD', key, '*', 'event', event, 'data', data, 'prev', before, 'ts', ts)
      else
        id = call('XADD', key, '*', 'event', event, 'data', data, 'prev', before, 'ts', ts, 'tp', tp)
      end
      prev[stream] = id
      appended = appended + 1
      copies[used + 1], copies[used + 2], copies[used + 3] = target[stream], id, before
      copies[used + 4], copies[used + 5], copies[used + 6] = ts, tp, event
      copies[used + 7] = data
      used = used + COPY
    end
  end
  return appended, copies, target, id
end

-- What may be refused by rights comes after the watermark: it then costs a live copy, never exactness.
local function announce(copies, touched)
  for stream in pairs(touched or {}) do
    call('EXPIRE', KEYS[streams_from + stream], life)
  end
  if copies or epoch_changed then
    call(live_command, live_channel, cmsgpack.pack(copies or { LIVE_VERSION, epoch }))
  end
end

if #marks == 0 then
  local prev, bad, failure = last_ids(-math.huge)
  if failure then
    return failure
  end
  if bad[1] then
    return { epoch or '', { 'BAD', 0 } }
  end
  change_epoch(false)
  local _, copies, touched, id = append(-math.huge, prev)
  announce(copies, touched)
  return { epoch, { 'ID', id } }
end

local answers, copies, touched = {}, nil, nil
for at = 0, #marks - 1, MARK do
  local field, previous, upto = marks[at + 1], marks[at + 2], marks[at + 3]
  local timestamp, seen = marks[at + 4], marks[at + 5]
  local watermark = call('HGET', watermarks_key, field)
  local answer
  if previous == '' then
    if watermark then
      change_epoch(false)
    else
      watermark = upto
      raise_watermark(field, upto, timestamp)
      forget_timestamp(field, timestamp)
      change_epoch(seen)
    end
    answer = { 'OK', 0, watermark }
  elseif not watermark then
    answer = { 'LOST' }
  elseif tonumber(watermark) < tonumber(previous) then
    change_epoch(seen)
    answer = { 'GAP', watermark }
  else
    local prev, bad, failure = last_ids(tonumber(watermark))
    if failure then
      return failure
    end
    if bad[1] then
      answer = bad
      table.insert(answer, 1, 'BAD')
    else
      -- Out of memory and missing rights show here, while nothing has been appended.
      call('HSET', watermarks_key, field, watermark)
      local rises = tonumber(upto) > tonumber(watermark)
      if rises then
        forget_timestamp(field, timestamp)
      end
      change_epoch(false)
      local appended = 0
      if next(prev) then
        appended, copies, touched = append(tonumber(watermark), prev)
      end
      if rises then
        watermark = upto
        raise_watermark(field, upto, timestamp)
      end
      answer = { 'OK', appended, watermark }
    end
  end
  answers[#answers + 1] = answer
end
announce(copies, touched)
table.insert(answers, 1, epoch or '')
return answers
