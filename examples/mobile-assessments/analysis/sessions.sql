-- A row for each session: whose it was, on what, how fast, how well, and how still the phone was held.
WITH answers AS (
    SELECT recordid, median(responseTime) AS seconds
    FROM TaskData_v1__steps
    GROUP BY recordid
),
taps AS (  -- both hands of a session: a file each
    SELECT recordid, median(duration) AS seconds, count(*) AS taps
    FROM Tapping_v1__samples
    GROUP BY recordid
),
-- Android calls its accelerometer something else. Rounded, as a sum in another order differs in its last digit.
movement AS (
    SELECT recordid, round(sqrt(avg(x * x + y * y + z * z)), 4) AS acceleration
    FROM Motion_v1
    WHERE sensorType IN ('accelerometer', 'acceleration')
    GROUP BY recordid
)
SELECT
    about.healthcode AS participant_id,
    about.recordid AS session_id,
    about.assessmentid AS assessment,
    CASE WHEN about.deviceInfo LIKE 'Android%' THEN 'Android' ELSE 'iOS' END AS system,
    regexp_extract(about.appVersion, '\(([0-9]+)\)', 1)::int AS app_version,
    coalesce(answers.seconds, taps.seconds) AS reaction_seconds,
    coalesce(task.scores_finalTheta, taps.taps) AS score,
    movement.acceleration
FROM ArchiveMetadata_v1 AS about
LEFT JOIN TaskData_v1 AS task ON task.recordid = about.recordid
LEFT JOIN answers ON answers.recordid = about.recordid
LEFT JOIN taps ON taps.recordid = about.recordid
LEFT JOIN movement ON movement.recordid = about.recordid
ORDER BY participant_id, session_id
