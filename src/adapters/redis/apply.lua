-- One call to one shard: a batch, a checkpoint, an initialisation, or one entry published by itself.
--
-- KEYS: the hash of watermarks, the hash with the epoch, the hash of tails, then each distinct stream.
-- ARGV: the eight below, then the data of each entry, in the entries' order.
--
-- Everything that can be refused is refused before the first write, and the watermark is raised before
-- anything that may fail afterwards: an interrupted call leaves nothing, or all that counts.
local watermarks_key, meta_key, tails_key = KEYS[1], KEYS[2], KEYS[3]
local live_command = ARGV[1] -- PUBLISH or SPUBLISH
local live_channel = ARGV[2]
local spare_epoch = ARGV[3] -- what the epoch becomes where it has to change
local salt = ARGV[4] -- random digits, the first not 0: a part of the new ids
local max_length = ARGV[5] -- of a stream, entries
local life = ARGV[6] * 1000 -- of a stream after its last entry, ms
local marks = cmsgpack.unpack(ARGV[7]) -- flat, 5 each: field, previous, upto, timestamp, epoch ('' = none)
local entries = cmsgpack.unpack(ARGV[8]) -- flat, 5 each: index of the stream, offset, event, ts, tp
local streams_from, data_from = 3, 8 -- where they begin, less one

local call, pcall = redis.call, redis.pcall
local MARK, ENTRY, COPY = 5, 5, 7 -- values per mark, entry, and live copy
local LIVE_VERSION = 1 -- of what is published: live_format.py
local LAST_ID = '18446744073709551615-18446744073709551615' -- after it a stream takes nothing more
local EXACT = 2 ^ 53 -- up to here Lua counts by ones
local MS_DIGITS = 13 -- of a time, from 2001 to 2286
local FIRST_INDEX = 1000 -- of an entry in its call: all have four digits, for ids that sort as texts
local ID_LENGTH = MS_DIGITS + 1 + 9 + 4 -- of an id with the salt alone before the index
local TURN = 1e13 -- what one turn adds to a sequence number: it stands before salt and index
local AT_ONCE = 500 -- keys handed to one command
local TAILS_AT_ONCE, TAIL_ROUNDS = 20, 10 -- looked at by a checkpoint
local LONG_VALUE = string.rep('-', 65) -- with it a hash is no list that has to be searched
local count = #entries / ENTRY
local prefix = #watermarks_key - 1 -- 'eb:{n}:wm' and 'eb:{n}:user:…' begin alike

local meta = call('HMGET', meta_key, 'epoch', 'since', 'life')
local epoch, since, shortest_life = meta[1], tonumber(meta[2]) or 0, tonumber(meta[3])
local epoch_changed = false

local function digits(number)
  return string.format('%.0f', number)
end

local time = call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local now = digits(now_ms)

-- Only if it is still the one that was seen: of several that find the same rollback, one changes it.
local function change_epoch(seen)
  if epoch and epoch ~= seen then
    return
  end
  epoch, epoch_changed, since, shortest_life = spare_epoch, true, now_ms, life
  call('HSET', meta_key, 'epoch', epoch, 'since', now, 'life', digits(life))
end

-- Readers trust that nothing which was appended in this epoch has gone sooner.
local function note_life()
  if not shortest_life or life < shortest_life then
    shortest_life = life
    call('HSET', meta_key, 'life', digits(life))
  end
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
-- Answers prev by stream, then the streams' names among the tails, then the indexes of entries whose key
-- takes none, then an error to hand on.
--
-- `XREVRANGE` would tell the id, but hands over the whole entry with it; so the ids stand in the tails, and
-- only one that is missing, or out of the ordinary, is looked up.
local function last_ids(watermark)
  local prev, names, bad, unusable = {}, {}, {}, {}
  local streams, fields = {}, {}
  for index = 1, count do
    local at = (index - 1) * ENTRY
    local stream = entries[at + 1]
    if entries[at + 2] > watermark and not names[stream] then
      local name = string.sub(KEYS[streams_from + stream], prefix)
      names[stream] = name
      streams[#streams + 1], fields[#fields + 1] = stream, name
    end
  end
  for from = 1, #streams, AT_ONCE do
    local to = math.min(from + AT_ONCE - 1, #streams)
    local tails = call('HMGET', tails_key, unpack(fields, from, to))
    for position = from, to do
      local stream, tail = streams[position], tails[position - from + 1]
      local key = KEYS[streams_from + stream]
      local length = pcall('XLEN', key)
      if length == 0 then
        tail = '0-0'
      elseif type(length) == 'table' then
        if not string.find(length.err, 'WRONGTYPE', 1, true) then
          return nil, nil, nil, length
        end
        tail, unusable[stream] = '0-0', true
      elseif not tail or #tail ~= ID_LENGTH then
        tail = call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1][1]
        unusable[stream] = tail == LAST_ID or nil
      end
      prev[stream] = tail
    end
  end
  if next(unusable) then
    for index = 1, count do
      local at = (index - 1) * ENTRY
      if entries[at + 2] > watermark and unusable[entries[at + 1]] then
        bad[#bad + 1] = index - 1
      end
    end
  end
  return prev, names, bad
end

-- The digits of a time that may pass before a life is renewed: about a sixteenth of it at most.
local renewal_digits = math.max(0, math.floor(math.log10(life / 16)))
local plain_ids = now .. '-' .. salt
local boundary = #now == MS_DIGITS and now .. '-' or '' -- texts of other lengths do not compare

-- Lives are renewed where a stream's last entry is older than this: it is of an earlier part of the life, or
-- may have been given a shorter one, by another writer in this epoch or by any in an earlier one.
local fresh_from
local function know_fresh()
  local part = now_ms - now_ms % 10 ^ renewal_digits
  fresh_from = life > shortest_life and now or digits(math.max(part, since + 1))
end

-- What the new ids of a stream begin with, and whether its life is to be renewed. An id is the time, then,
-- as one number, the turn (where there is one), the salt and the entry's index in its call. So no id is
-- given a second time, not even in the place of one that a rollback took: a cursor on that one proves
-- nothing then. Where the last id is of this time or a later one, its time stays and the turn rises.
--
-- false: such an id has numbers that Lua cannot count; Redis has to choose.
local function id_prefix(last)
  if #last == ID_LENGTH and string.byte(last, MS_DIGITS + 1) == 45 and last < boundary then -- 45 is '-'
    return plain_ids, string.sub(last, 1, MS_DIGITS) < fresh_from
  end
  local ms, sequence = string.match(last, '^(%d+)-(%d+)$')
  ms, sequence = tonumber(ms), tonumber(sequence)
  if ms < now_ms then
    return plain_ids, true
  end
  local turn = math.floor(sequence / TURN) + 1
  if (turn + 1) * TURN > EXACT then
    ms, turn = ms + 1, 1
  end
  if ms >= EXACT then
    return false, true
  end
  return digits(ms) .. '-' .. turn .. salt, true
end

local function add(how, trimmed, key, id, event, data, before, ts, tp)
  if trimmed and tp == '' then
    return how('XADD', key, 'MAXLEN', '~', max_length, id,
      'event', event, 'data', data, 'prev', before, 'ts', ts)
  elseif trimmed then
    return how('XADD', key, 'MAXLEN', '~', max_length, id,
      'event', event, 'data', data, 'prev', before, 'ts', ts, 'tp', tp)
  elseif tp == '' then
    return how('XADD', key, id, 'event', event, 'data', data, 'prev', before, 'ts', ts)
  end
  return how('XADD', key, id, 'event', event, 'data', data, 'prev', before, 'ts', ts, 'tp', tp)
end

-- Second pass. Answers how many were appended, the live copies, the streams whose lives are to be renewed
-- and, for one entry by itself, its id.
local function append(watermark, prev, names)
  note_life()
  know_fresh()
  local copies, used, appended, id = { LIVE_VERSION, epoch }, 2, 0, nil
  local ids, touched, aging, tails = {}, {}, {}, {}
  for index = 1, count do
    local at = (index - 1) * ENTRY
    if entries[at + 2] > watermark then
      local stream, event, ts, tp = entries[at + 1], entries[at + 3], entries[at + 4], entries[at + 5]
      local data, before = ARGV[data_from + index], prev[stream]
      local key = KEYS[streams_from + stream]
      local begin = ids[stream]
      local first = begin == nil
      if ts == '' then
        ts = now
      end
      -- The first entry of each stream trims it: once per stream and call is enough for "about".
      if first then
        local ages
        begin, ages = id_prefix(before)
        ids[stream] = begin
        touched[#touched + 1] = stream
        if ages then
          aging[#aging + 1] = key
        end
      end
      id = begin and add(pcall, first, key, begin .. (FIRST_INDEX + index), event, data, before, ts, tp)
      if type(id) ~= 'string' then
        -- Refused where the stream had a higher id once that its tail does not name.
        ids[stream] = false
        id = add(call, first, key, '*', event, data, before, ts, tp)
      end
      prev[stream] = id
      appended = appended + 1
      copies[used + 1], copies[used + 2], copies[used + 3] = names[stream], id, before
      copies[used + 4], copies[used + 5], copies[used + 6] = ts, tp, event
      copies[used + 7] = data
      used = used + COPY
    end
  end
  for position, stream in ipairs(touched) do
    tails[2 * position - 1], tails[2 * position] = names[stream], prev[stream]
  end
  for from = 1, #tails, AT_ONCE do
    call('HSET', tails_key, unpack(tails, from, math.min(from + AT_ONCE - 1, #tails)))
  end
  return appended, copies, aging, id
end

-- What may be refused by rights comes after the watermark: it then costs a live copy, never exactness.
local function announce(copies, aging)
  for _, key in ipairs(aging or {}) do
    call('PEXPIRE', key, life + 10 ^ renewal_digits)
  end
  if copies or epoch_changed then
    call(live_command, live_channel, cmsgpack.pack(copies or { LIVE_VERSION, epoch }))
  end
end

-- The tails of streams that have expired: each checkpoint looks at a few, and at more while it finds many.
local function tidy_tails()
  for _ = 1, TAIL_ROUNDS do
    local found = call('HRANDFIELD', tails_key, TAILS_AT_ONCE, 'WITHVALUES')
    local old = {}
    for position = 2, #found, 2 do
      local last_ms = tonumber(string.match(found[position], '^%d+'))
      if last_ms and now_ms - last_ms > 2 * life then
        old[#old + 1] = found[position - 1]
      end
    end
    if old[1] then
      call('HDEL', tails_key, unpack(old))
    end
    if #old < TAILS_AT_ONCE / 4 then
      break
    end
  end
  call('HSET', tails_key, '', LONG_VALUE)
end

if #marks == 0 then
  local prev, names, bad, failure = last_ids(-math.huge)
  if failure then
    return failure
  end
  if bad[1] then
    return { epoch or '', { 'BAD', 0 } }
  end
  change_epoch(false)
  local _, copies, aging, id = append(-math.huge, prev, names)
  announce(copies, aging)
  return { epoch, { 'ID', id } }
end

local answers, copies, aging = {}, nil, nil
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
    local prev, names, bad, failure = last_ids(tonumber(watermark))
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
        appended, copies, aging = append(tonumber(watermark), prev, names)
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
announce(copies, aging)
if count == 0 then
  tidy_tails()
end
table.insert(answers, 1, epoch or '')
return answers
