-- North keeps one wide table: a row is one person-year.
SELECT
    patient_id,
    record_number,
    visits,
    coinsurance_percent,
    deductible_plan,
    physical_limitation,
    chronic_diseases,
    health
FROM person_years
ORDER BY patient_id, record_number
