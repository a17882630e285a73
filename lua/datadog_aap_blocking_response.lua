-- appsec-edge HAProxy configuration 1.4.0: the blocking response
--
-- The agent decides what a blocked client sees and leaves it in four variables:
--
--   txn.dd.blocked   boolean   looked at by the rule that calls this action
--   txn.dd.status    integer   200 to 599
--   txn.dd.headers   string    "Name: value" lines, separated by LF
--   txn.dd.body      binary    may be missing where the status has no body of its own (3xx, 204)
--
-- By the time this runs the verdict is known to be "block". Whatever is missing or odd therefore ends in the
-- constant 403 below: an error that left this function would let the request through.
--
-- Works from HAProxy 2.6 on, with tune.lua.bool-sample-conversion either way: no boolean is read here.

local FALLBACK_BODY = "You have been blocked.\n"

-- Set by HAProxy itself from the body and the connection: a second opinion would break the framing.
local FRAMING_HEADERS = {
    ["connection"] = true,
    ["content-length"] = true,
    ["keep-alive"] = true,
    ["trailer"] = true,
    ["transfer-encoding"] = true,
    ["upgrade"] = true,
}

local function fallback_reply(txn)
    local reply = txn:reply()
    reply:set_status(403)
    reply:add_header("content-type", "text/plain; charset=utf-8")
    reply:add_header("cache-control", "no-store")
    reply:set_body(FALLBACK_BODY)
    return reply
end

-- A final status as an integer, or nil. An interim one (1xx) would leave the client waiting for the real one.
local function final_status(value)
    local status = math.tointeger(tonumber(value))
    if status and status >= 200 and status <= 599 then
        return status
    end
    return nil
end

-- Adds every line that is a header: a token (RFC 9110, 5.6.2), a colon, a value that keeps its own colons.
-- Control characters cannot end a line early and start a header, or a response, of somebody else's making.
-- Returns whether one of them was a Location.
local function add_headers(reply, lines)
    local has_location = false
    for line in lines:gmatch("[^\n]+") do
        local name, value = line:match("^([%w!#$%%&'*+%-.^_`|~]+):(.*)$")
        if name and not FRAMING_HEADERS[name:lower()] then
            value = value:gsub("%c", " "):gsub("^ +", ""):gsub(" +$", "")
            reply:add_header(name, value)
            has_location = has_location or name:lower() == "location"
        end
    end
    return has_location
end

-- The reply the agent asked for, or nil when what it left is not a whole answer.
local function agent_reply(txn)
    local status = final_status(txn:get_var("txn.dd.status"))
    local headers = txn:get_var("txn.dd.headers")
    local body = txn:get_var("txn.dd.body")
    if not status or type(headers) ~= "string" then
        return nil
    end

    local reply = txn:reply()
    reply:set_status(status)
    local redirects = add_headers(reply, headers) and status >= 300 and status <= 399
    if status == 204 or status == 304 then
        body = ""
    elseif body == nil and redirects then
        body = ""
    end
    if type(body) ~= "string" then
        return nil
    end
    reply:set_body(body)
    return reply
end

core.register_action("send_blocking_response", { "http-req", "http-res" }, function(txn)
    local built, reply = pcall(agent_reply, txn)
    if not built or reply == nil then
        pcall(txn.Warning, txn, "appsec-edge: the agent's blocking response is incomplete, sending a plain 403")
        reply = fallback_reply(txn)
    end
    -- Not under pcall: done() leaves the script by raising an error of HAProxy's own.
    txn:done(reply)
end)
