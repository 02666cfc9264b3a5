-- Auto-routing from Orthanc to the AI node: when a study has been stable, its image series are
-- sent to the modality "ainode" (DicomModalities in orthanc.json), each series once.
--
-- Results come back into the same study and make it stable again: a script that sent whole
-- studies would run for ever. A series that has grown since it was sent is sent again.
-- The number that was sent is kept as user metadata, which orthanc.json must declare:
--   "UserMetadata": { "SentToAiNode": 5001 }

local TARGET = "ainode"
local IMAGES = {
  CT = true, MR = true, PT = true, NM = true, US = true,
  CR = true, DX = true, MG = true, XA = true,
}

local function AlreadySent(series)
  for _, name in pairs(ParseJson(RestApiGet("/series/" .. series .. "/metadata"))) do
    if name == "SentToAiNode" then
      return RestApiGet("/series/" .. series .. "/metadata/SentToAiNode")
    end
  end
end

function OnStableStudy(study, tags, metadata)
  for _, id in pairs(ParseJson(RestApiGet("/studies/" .. study))["Series"]) do
    local series = ParseJson(RestApiGet("/series/" .. id))
    local count = tostring(#series["Instances"])
    if IMAGES[series["MainDicomTags"]["Modality"]] and AlreadySent(id) ~= count then
      RestApiPut("/series/" .. id .. "/metadata/SentToAiNode", count)
      -- asynchronous: Orthanc holds the Lua lock while a callback runs
      RestApiPost("/modalities/" .. TARGET .. "/store",
        DumpJson({ Resources = { id }, Asynchronous = true, Permissive = false }, true))
    end
  end
end

-- What could not be sent counts as not sent: it goes out when its study is stable once more, that is
-- with the next image. Until then `dicom-ai-node studies missed` finds it, and `catch_up` fetches it.
function OnJobFailure(id)
  local job = ParseJson(RestApiGet("/jobs/" .. id))
  if job["Type"] == "DicomModalityStore" then
    for _, series in pairs(job["Content"]["ParentResources"] or {}) do
      if AlreadySent(series) then
        RestApiDelete("/series/" .. series .. "/metadata/SentToAiNode")
      end
    end
  end
end
