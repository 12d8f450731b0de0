-- What the transcoder cannot do: which bodies a REST route reads, and the status and the words of an error.

-- The names of the path variables of all routes, without case and underscores. The transcoder lets a query parameter of
-- the same name override the path; such a parameter is dropped, like any other that means nothing.
local PATH_VARIABLES = {clientid = true, reportid = true, flawid = true, assetid = true, id = true, source = true, key = true,
                        tenantid = true, writeupid = true, actionid = true, fileid = true, entitytype = true,
                        workspaceid = true, importsourceid = true, objectschemaid = true, resourceid = true,
                        executionid = true, scheduleid = true, version = true}

local BODIED = {POST = true, PUT = true, PATCH = true}

local PHRASES = {
  ["400"] = "Bad Request", ["401"] = "Unauthorized", ["403"] = "Forbidden", ["404"] = "Not Found", ["409"] = "Conflict",
  ["429"] = "Too Many Requests", ["499"] = "Client Closed Request", ["500"] = "Internal Server Error",
  ["501"] = "Not Implemented", ["503"] = "Service Unavailable", ["504"] = "Gateway Timeout",
}

local KINDS = {TYPE_INT32 = "a whole number", TYPE_INT64 = "a whole number", TYPE_BOOL = "true or false"}

-- Names of errors in the AppFile API, which has no phrases.
local APPFILE_CODES = {["400"] = "RequestUnreadable", ["429"] = "QuotaExceeded", ["503"] = "ServiceUnavailable"}

-- The same in the Assets API.
local ASSETS_CODES = {["400"] = "REQUEST_UNREADABLE", ["401"] = "INVALID_CREDENTIAL", ["404"] = "NOT_FOUND",
                      ["409"] = "CONFLICT", ["429"] = "TOO_MANY_REQUESTS", ["501"] = "NOT_IMPLEMENTED",
                      ["503"] = "SERVICE_UNAVAILABLE", ["504"] = "DEADLINE_EXCEEDED"}

-- Media types of errors, where they are not plain application/json.
local ERROR_TYPES = {assets = "application/json;charset=UTF-8"}

-- `message` must need no escape in JSON.
local function envelope(dialect, status, message)
  if dialect == "assets" then
    return string.format('{"errorMessages":["%s"],"errors":{},"result":"error","errorCode":"%s","code":%s,"message":"%s"}',
      message, ASSETS_CODES[status] or (status:sub(1, 1) == "4" and "REQUEST_REFUSED" or "INTERNAL"), status,
      status == "401" and "Unauthorized" or message)
  end
  if dialect == "appfile" then
    return string.format('{"IsSuccess":false,"ResponseStatus":{"ErrorCode":"%s","Message":"%s","StackTrace":"","Errors":[]},"Data":null}',
      APPFILE_CODES[status] or (status:sub(1, 1) == "4" and "RequestRefused" or "InternalError"), message)
  end
  return string.format('{"status":"error","statusCode":%s,"error":"%s","message":"%s"}',
    status, PHRASES[status] or "Error", message)
end

local function is_read(accepted, content_type)
  local media_type = content_type:lower():match("^%s*([^;%s]*)")
  for one in accepted:gmatch("%S+") do
    if one == "*" or media_type == one then return true end
  end
  return accepted:find("application/json", 1, true) ~= nil and media_type:match("^application/.+%+json$") ~= nil
end

local function without_path_variables(query)
  local kept = {}
  for pair in query:gmatch("[^&]+") do
    local name = pair:match("^[^=]*"):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    if not PATH_VARIABLES[name:gsub("_", ""):lower()] then kept[#kept + 1] = pair end
  end
  return table.concat(kept, "&")
end

-- Clients of the Assets API know it by several bases, and some put a slash behind a path or two into it; the protos have one base.
local function on_assets_base(path)
  path = path:gsub("//+", "/")
  path = path:gsub("^/ex/jira/[^/]+(/jsm/)", "%1"):gsub("^/ex/jira/[^/]+(/rest/servicedeskapi/)", "%1")
  path = path:gsub("^/gateway/api(/jsm/)", "%1"):gsub("^/jsm/insight/", "/jsm/assets/")
  return (path:gsub("/$", ""))
end

function envoy_on_request(handle)
  -- Set on REST routes: the media types of the body.
  local accepted = handle:filterContext():get("reads")
  local headers = handle:headers()
  local content_type = headers:get("content-type") or ""
  if not accepted or content_type:find("application/grpc", 1, true) == 1 then return end
  -- The way back has another route, which knows no dialect.
  local dialect = handle:filterContext():get("dialect") or "plextrac"
  handle:streamInfo():dynamicMetadata():set("hythe", "dialect", dialect)

  local path, mark, query = headers:get(":path"):match("^([^?]*)(%??)(.*)$")
  -- A published Postman collection has a space behind a path, and so have the clients generated from it.
  path = path:gsub("%%20$", "")
  if dialect == "assets" then
    path = on_assets_base(path)
    -- Clients write a query in AQL as forms are written, where a plus is a space; the transcoder does not know that.
    query = query:gsub("%+", "%%20")
  end
  headers:replace(":path", path .. mark .. without_path_variables(query))

  -- Some clients name a type although they send nothing.
  local has_body = BODIED[headers:get(":method")] and headers:get("content-length") ~= "0"
  if has_body and content_type ~= "" and not is_read(accepted, content_type) then
    handle:respond({[":status"] = "415"}, "Send the body as " .. accepted:gsub(" ", " or ") .. ".")
  end
end

-- What the transcoder says about a request that it cannot read, in words for whoever sent it. `said` is JSON text.
local function reworded(said)
  local field, kind = said:match('^([%w_]+): invalid value .* for type ([%u%d_]+)$')
  if field then return field .. " must be " .. (KINDS[kind] or "a value of its type") .. "." end
  if said:find("google.protobuf.Struct", 1, true) or said:find("cannot start list", 1, true) then
    return "The body must be a JSON object."
  end
  -- Behind the first line it shows the place, and with it a piece of the body.
  local fault = said:gsub("\\u000a", "\\n"):match("^([%w ,.:'{}%[%]%-]+)\\n")
  if fault then return "The body is not JSON: " .. fault end
  return "The request cannot be read."
end

-- An error that a service did not word for this API, made by its gRPC library, say: what it says is not for the public.
local function unworded(dialect, status)
  if status:sub(1, 1) == "4" then return envelope(dialect, status, "The service refused this request.") end
  return envelope(dialect, status, "The service could not answer this request.")
end

local INTERNAL = {"grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding",
                  "x-http-status", "x-error-body", "x-hythe-unreadable"}

-- Statuses that have no body; the transcoder writes `{}` for a message that says nothing.
local BODILESS = {["204"] = true, ["303"] = true}

local function without_body(handle)
  handle:body(true):setBytes("")
  local headers = handle:headers()
  headers:remove("content-type")
  headers:remove("content-length")
  if headers:get(":status") ~= "204" then headers:add("content-length", "0") end
end

-- Runs after the transcoder, which stands behind this filter in the chain and has made {"code","message","details"} of a
-- service's error. A service that has sent headers before it failed has its own words in the trailers.
function envoy_on_response(handle)
  local headers = handle:headers()
  if (headers:get("content-type") or ""):find("application/grpc", 1, true) == 1 then return end

  local chosen_status, body = headers:get("x-http-status"), headers:get("x-error-body")
  local is_unreadable = headers:get("x-hythe-unreadable") ~= nil
  for _, name in ipairs(INTERNAL) do headers:remove(name) end
  if chosen_status then headers:replace(":status", chosen_status) end
  if BODILESS[headers:get(":status")] then return without_body(handle) end
  if tonumber(headers:get(":status")) < 400 then return end

  local buffer, trailers = handle:body(true), handle:trailers()
  headers = handle:headers()
  local status, said = headers:get(":status"), buffer:getBytes(0, buffer:length())
  local dialect = (handle:streamInfo():dynamicMetadata():get("hythe") or {})["dialect"]
  if trailers and not body then
    body, status = trailers:get("x-error-body"), trailers:get("x-http-status") or status
  end
  if is_unreadable then
    -- Envoy writes the members of its own JSON in order.
    local told = said:match('"message":"(.*)","status"') or said:match('"Message":"(.*)","StackTrace"')
      or said:match('"message":"(.*)","result"') or ""
    body = envelope(dialect, status, reworded(told))
  elseif not body and said:find("google.protobuf.message.DecodeError", 1, true) then
    -- The transcoder writes what protobuf of the service refuses to read: messages more than 100 levels deep.
    status, body = "400", envelope(dialect, "400", "The body is nested too deep.")
  elseif not body and said:find('{"code":', 1, true) == 1 and not said:find('"errorCode":', 1, true) then
    -- Not what the gateway has worded for the Assets API, which has a code as well.
    body = unworded(dialect, status)
  end
  if body then
    headers:replace(":status", status)
    headers:replace("content-type", ERROR_TYPES[dialect] or "application/json")
    headers:replace("content-length", tostring(buffer:setBytes(body)))
  end
end
