-- A row for each person-year. South has the same table, but keeps health as a code in another.
SELECT patient_id, record_number, visits, health
FROM person_years
ORDER BY patient_id, record_number
