-- Dagster keeps the events of runs for ever. This drops those older than 90 days that nothing is computed from: messages,
-- the machinery's own events, where captured logs lie, and what a training showed of itself while it went on.
-- Materializations, checks, and beginning and end of runs and steps stay: lineage, and what is up to date, is read from
-- them. That is why whole runs are not deleted: `dagster run delete` takes the materializations of a run with it.
DELETE FROM event_logs
WHERE timestamp < (now() AT TIME ZONE 'utc') - INTERVAL '90 days'
  AND (
    dagster_event_type IS NULL
    OR dagster_event_type IN (
      'ENGINE_EVENT', 'LOGS_CAPTURED', 'RESOURCE_INIT_STARTED', 'RESOURCE_INIT_SUCCESS', 'STEP_WORKER_STARTING',
      'STEP_WORKER_STARTED', 'ASSET_OBSERVATION'
    )
  );
DELETE FROM asset_event_tags
WHERE event_timestamp < (now() AT TIME ZONE 'utc') - INTERVAL '90 days'
  AND NOT EXISTS (SELECT 1 FROM event_logs WHERE event_logs.id = asset_event_tags.event_id);
