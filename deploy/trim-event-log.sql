-- Dagster keeps the events of runs for ever. This deletes those older than 90 days that nothing is computed from: messages,
-- engine events, locations of captured logs, and observations of trainings. Materializations, checks, and start and end
-- of runs and steps stay: lineage and freshness are computed from them. Whole runs are not deleted for that reason:
-- `dagster run delete` deletes the materializations of a run too.
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
